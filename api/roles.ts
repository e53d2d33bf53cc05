/**
 * What a caller may do. `viewer` looks and asks, `operator` changes what runs, `admin` does what cannot be taken back, `producer` sends
 * events and does nothing else.
 */
export const ROLES = ['viewer', 'producer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const isRole = (text: unknown): text is Role => ROLES.includes(text as Role);

/** Who may call a route; `public`: whoever reaches the server. */
export type Access = 'public' | readonly Role[];

export const ANYBODY: Access = 'public';
/** Whoever has a key, whatever its role. */
export const WITH_KEY: Access = ROLES;
export const LOOK: Access = ['viewer', 'operator', 'admin'];
export const SEND: Access = ['producer', 'operator', 'admin'];
export const CHANGE: Access = ['operator', 'admin'];

export function mayCall(role: Role, access: Access): boolean {
  return access === 'public' || access.includes(role);
}
