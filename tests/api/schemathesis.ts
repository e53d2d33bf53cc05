import { installPyPi } from './pypi.ts';

/** Schemathesis of PyPI, fetched once; or why there is none. */
export const installSchemathesis = () => installPyPi('schemathesis', '4.32.5');
