import type { Answers } from './answers.ts';

/** Names for what the API answers with, and for its parts. */

export type Project = Answers['getProject'];
export type Topology = Answers['getTopology'];
export type TopicFigures = Topology['topics'][number];
export type StreamFigures = Topology['streams'][number];
export type Health = Answers['getHealth'];
export type Caller = Answers['getSession'];
export type Features = Answers['getFeatures'];
export type Predictions = Answers['listPredictions'];
export type Prediction = Predictions['predictions'][number];
export type Explanation = Answers['explainPrediction'];
export type VersionInputs = Answers['getVersionInputs'];
export type ShadowTest = Answers['getShadowTest'];
export type EntityEvents = Answers['listEntityEvents'];
export type SqlAnswer = Answers['askSql'];
export type Model = Answers['getModel'];
export type Version = Model['versions'][number];
export type Change = Model['changes'][number];
export type Measures = Answers['getQuality'];
export type Measure = Measures['measures'][number];
export type Alerts = Answers['listAlerts'];
export type Alert = Alerts['alerts'][number];
export type Silences = Answers['listSilences'];
export type Silence = Silences['silences'][number];
export type Pipelines = Answers['listPipelines'];
export type Pipeline = Pipelines['pipelines'][number];
export type PipelineRuns = Answers['listPipelineRuns'];
export type PipelineRun = PipelineRuns['runs'][number];
export type Step = PipelineRun['steps'][number];
export type StepLog = Answers['getStepLog'];
export type StepState = Step['state'];
export type LetterCounts = Answers['countDeadLetters'];
export type LetterCount = LetterCounts['reasons'][number];
export type Letters = Answers['listDeadLetters'];
export type Letter = Letters['letters'][number];
export type LetterReplay = Answers['replayDeadLetters'];
