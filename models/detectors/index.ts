import { adwin } from './adwin.ts';
import { ddm } from './ddm.ts';
import { pageHinkley } from './page-hinkley.ts';

/** Every detector by name. */
export const DETECTORS = { page_hinkley: pageHinkley, adwin, ddm } as const;
export type DetectorName = keyof typeof DETECTORS;
