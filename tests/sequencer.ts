import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that compute for minutes and wait for nobody. */
const COMPUTE = /simulation\/troubles-/;

/** Spreads the files that compute over the run: beside each, the tests of the other worker wait for servers. */
export default class Interleaved extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const computing = sorted.filter(({ moduleId }) => COMPUTE.test(moduleId));
    const order = sorted.filter(({ moduleId }) => !COMPUTE.test(moduleId));
    const apart = Math.floor(order.length / (computing.length + 1));
    for (const [i, file] of computing.entries()) order.splice(i * (apart + 1), 0, file);
    return order;
  }
}
