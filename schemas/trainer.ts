export const TRAINERS = ['dense', 'logistic', 'trees'] as const;
export type TrainerName = (typeof TRAINERS)[number];

/** What learns, and with which parameters, as code names them. */
export interface TrainerChoice {
  readonly name: TrainerName;
  readonly parameters: Readonly<Record<string, number | string | readonly number[]>>;
}
