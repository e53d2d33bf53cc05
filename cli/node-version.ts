/** The oldest Node that runs Millrace, as package.json says (`engines`). */
const LEAST = [22, 15] as const;

/** Why Millrace does not run on a version of Node; null where it does. */
export function faultOfNode(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1])) return null;
  return `Millrace needs Node ${LEAST.join('.')} or newer, and this is Node ${version}: install a newer one (https://nodejs.org), or put one into the project with 'npm install node@24'.`;
}
