import { createHash } from 'node:crypto';

/** What an alert is of. Not the version: a model that is replaced while it is bad goes on with the same alert. */
export interface AlertIdentity {
  readonly rule: string;
  readonly model: string;
  readonly subject: string;
  readonly slice: string;
}

/** 16 hex digits: with a million alerts, two of them share one with a chance of 3 in 100 million. */
export function fingerprintOf({ rule, model, subject, slice }: AlertIdentity): string {
  return hashOf([rule, model, subject, slice]).slice(0, 16);
}

/** The same change made twice, by a process that came back or by two at once, has the same id. */
export const changeId = (fingerprint: string, change: number): string => `${fingerprint}:${change}`;

/**
 * The same for every try, whatever order the changes come in. 32 hex digits. `prefix` is the project's: two runs of one
 * project have alerts of the same fingerprints, and a receiver must not take one's for the other's.
 */
export function deliveryId(prefix: string, receiver: string, changeIds: readonly string[]): string {
  return hashOf([prefix, receiver, ...[...changeIds].sort()]).slice(0, 32);
}

/** JSON keeps apart what joining with a sign would run together. */
const hashOf = (parts: readonly string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');
