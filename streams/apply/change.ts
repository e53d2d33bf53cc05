/** What of a project is missing outside, or stands there and cannot become what the project says. */
export interface Change {
  readonly kind: 'topic' | 'schema' | 'table' | 'definition';
  readonly name: string;
  /**
   * `unknown`: it could not be read whether there is anything to change; `apply` leaves it as it is. `foreign`: it is a team's own, and
   * stays as it is, though something about it is worth knowing.
   */
  readonly action: 'create' | 'update' | 'keep' | 'conflict' | 'unknown' | 'foreign';
  /** One sentence for a person. */
  readonly detail: string;
}

/** The schema registry, the tables and what was applied before, as far as `apply` needs them. */
export interface Declared {
  readonly kind: 'schema' | 'table' | 'definition';
  /** What there is and what would change; changes nothing. */
  plan(): Promise<readonly Change[]>;
  /** Makes it so. */
  apply(): Promise<void>;
}
