/** Wall time as streams are given it, so that tests can run the platform in virtual time. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  sleep(ms: number): Promise<void>;
}
