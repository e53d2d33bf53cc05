import { describe, expect, it } from 'vitest';
import { DAY } from '../../schemas/time.ts';
import { FILES, lines, load, problems } from './project.ts';

const ALERTS = `rules:
  - {rule: worse, on: quality, statistics: [log_loss], condition: low > previous + 0.01, severity: page}
`;
const PIPELINES = `pipelines:
  - pipeline: weekly
    model: returns
    start: {every: 7d, alerts: [worse]}
    steps:
      - {step: dataset, with: {last: 75d}}
      - {step: fit, does: train, trainer: {name: trees, learning_rate: 0.1}}
      - {step: gate, needs: [fit, dataset]}
`;
const MODEL = 'models/returns.yaml';
const loop = (files: Readonly<Record<string, string>> = {}) => ({
  ...FILES,
  'alerts.yaml': ALERTS,
  'pipelines.yaml': PIPELINES,
  ...files,
});

describe('the loop that watches and learns', () => {
  it('has defaults for every model', () => {
    const [model] = load(FILES).models;
    expect(model?.monitoring.every).toBe(DAY);
    expect(model?.rollout.shadow.block).toBe(DAY);
    expect(model?.search).toBeNull();
    expect(load(FILES).pipelines).toEqual([]);
  });

  it('compiles slices, conditions and graphs', () => {
    const project = load(
      loop({
        [MODEL]: `${FILES[MODEL]}monitoring:
  slices: {zone: {by: zone}}
  drift: {calendar: ['customer.*_1h']}
search: {parameters: {learning_rate: {real: [0.001, 0.1], log: true}}}
`,
      }),
    );
    const [model] = project.models;
    expect(model?.monitoring.slices[0]?.evaluate({ id: '', type: '', time: 0, zone: 'UTC' })).toBe('UTC');
    expect(model?.monitoring.drift.calendar).toEqual(['customer.orders_1h']);
    expect(model?.search?.parameters).toEqual({
      learningRate: { kind: 'real', low: 0.001, high: 0.1, log: true },
    });
    const [rule] = project.alerting.rules;
    expect(rule?.condition({ low: 0.4, previous: 0.3 })).toBe(true);
    expect(rule?.condition({ low: 0.4, previous: null })).toBeNull();
    expect(project.pipelines[0]?.steps.map(({ name, kind, needs }) => [name, kind, needs])).toEqual([
      ['dataset', 'dataset', []],
      ['fit', 'train', ['dataset']],
      ['gate', 'gate', ['fit', 'dataset']],
    ]);
    expect(project.pipelines[0]?.steps[0]?.with).toEqual({ last: 75 * DAY });
    expect(project.pipelines[0]?.steps.map(({ trainer }) => trainer)).toEqual([
      null,
      { name: 'trees', parameters: { learningRate: 0.1 } },
      null,
    ]);
  });

  it.each([
    [
      'a feature that is none',
      { [MODEL]: `${FILES[MODEL]}monitoring: {drift: {calendar: [customer.order_1h]}}\n` },
      "models/returns.yaml:10:33: 'customer.order_1h' is no feature of the model. Did you mean 'customer.orders_1h'?",
    ],
    [
      'a range upside down',
      { [MODEL]: `${FILES[MODEL]}search: {parameters: {l2: {real: [1, 0]}}}\n` },
      'models/returns.yaml:10:34: [1, 0] is no range to search in. Write the smaller first.',
    ],
    [
      'a search for what the trainer does not take',
      { [MODEL]: `${FILES[MODEL]}search: {parameters: {learn_rate: {real: [0, 1]}}}\n` },
      "models/returns.yaml:10:23: 'learn_rate' is no parameter of the model's trainer. Did you mean 'learning_rate'?",
    ],
    [
      'a clock that never strikes',
      { 'pipelines.yaml': PIPELINES.replace('every: 7d', "cron: '0 25 * * *'") },
      "pipelines.yaml:4:20: '25' is no hour: it goes from 0 to 23. Write '0 3 * * 1': minute hour day month weekday.",
    ],
    [
      'a day that no month has',
      { 'pipelines.yaml': PIPELINES.replace('every: 7d', "cron: '0 3 30 2 *'") },
      "pipelines.yaml:4:20: '0 3 30 2 *' never comes: no such month has a day 30. Write '0 3 * * 1': minute hour day month weekday.",
    ],
    [
      'a condition of an unknown name',
      { 'alerts.yaml': ALERTS.replace('low >', 'lower >') },
      "alerts.yaml:2:67: The expression names 'lower', which is not known here. Did you mean 'low'?",
    ],
    [
      'an alert that nobody declares',
      { 'pipelines.yaml': PIPELINES.replace('[worse]', '[worst]') },
      "pipelines.yaml:4:33: There is no alert rule 'worst'. Did you mean 'worse'?",
    ],
    [
      'a step that does not say what it does',
      { 'pipelines.yaml': PIPELINES.replace(/, does: train.*/, '}') },
      "pipelines.yaml:7:16: 'fit' does not say what it does. Add 'does:' with one of dataset, tune, train, evaluate, gate, register, shadow, decide.",
    ],
    [
      'steps in a circle',
      { 'pipelines.yaml': PIPELINES.replace('with: {last: 75d}', 'needs: [gate]') },
      'pipelines.yaml:6:7: The steps dataset, fit, gate need each other in a circle. Take one of the needs away.',
    ],
    [
      'a step that finds nothing to work on',
      { 'pipelines.yaml': PIPELINES.replace('needs: [fit, dataset]', 'needs: [dataset]') },
      "pipelines.yaml:8:16: 'gate' works on what a step that does 'train' makes, and none comes before it. Add one, and let this one need it, or one that comes after it.",
    ],
    [
      'a step that finds two things to work on',
      {
        'pipelines.yaml': PIPELINES.replace(
          '      - {step: gate, needs: [fit, dataset]}',
          '      - {step: train, needs: [dataset]}\n      - {step: gate, needs: [fit, train]}',
        ),
      },
      "pipelines.yaml:9:16: 'gate' works on what one step that does 'train' makes, and 'fit' and 'train' come before it side by side. Let it need one of them; for another add a pipeline.",
    ],
    [
      'a circle, without what comes after it',
      {
        'pipelines.yaml':
          PIPELINES.replace('does: train,', 'does: train, needs: [fit2],') +
          '      - {step: fit2, does: train, needs: [fit]}\n',
      },
      'pipelines.yaml:6:7: The steps fit, fit2 need each other in a circle. Take one of the needs away.',
    ],
    [
      'a step whose name is nearly one that says what it does',
      { 'pipelines.yaml': PIPELINES.replace('step: dataset', 'step: datset').replace('dataset]', 'datset]') },
      "pipelines.yaml:6:16: 'datset' does not say what it does. Did you mean 'dataset'? Else add 'does:'.",
    ],
    [
      'a rule over what is not measured',
      { 'alerts.yaml': ALERTS.replace('[log_loss]', '[logloss]') },
      "alerts.yaml:2:45: Of 'quality' no 'logloss' is measured. Did you mean 'log_loss'?",
    ],
    [
      'a summary that is filled in with nothing',
      { 'alerts.yaml': ALERTS.replace('severity: page', "summary: '{model} at {vlaue} {so}'") },
      "alerts.yaml:2:111: '{vlaue}' is filled in with nothing. Did you mean '{value}'?",
    ],
    [
      'alerts of another shape, once',
      { 'alerts.yaml': ALERTS.replace('severity: page', 'severity: pages') },
      "alerts.yaml:2:100: 'pages' is not known here. Did you mean 'page'?",
    ],
    [
      'a trainer where nothing is trained',
      { 'pipelines.yaml': PIPELINES.replace('with: {last: 75d}', 'trainer: {name: trees}') },
      "pipelines.yaml:6:25: A step that does 'dataset' trains nothing. Move 'trainer:' to the step that trains.",
    ],
    [
      'a parameter of another trainer',
      { 'pipelines.yaml': PIPELINES.replace('learning_rate: 0.1', 'epochs: 3') },
      "pipelines.yaml:7:57: 'epochs' is no parameter of the trainer 'trees'. Choose one of 'rounds', 'learning_rate', 'leaves', 'depth', 'min_weight', 'row_share', 'feature_share', 'bins', 'l2', 'patience', 'seed', 'validation_share', 'calibration'.",
    ],
    [
      'a setting of another step',
      { 'pipelines.yaml': PIPELINES.replace('last: 75d', 'lasts: 75d') },
      "pipelines.yaml:6:32: A step that does 'dataset' has no setting 'lasts'. Did you mean 'last'?",
    ],
  ])('refuses %s', (_, files, sentence) => {
    expect(lines(problems(loop(files))).join('\n')).toBe(sentence);
  });
});
