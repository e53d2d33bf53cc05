import { createModelRegistry } from '../infrastructure/registry/models.ts';
import type { Platform } from '../platform/platform.ts';
import type { ModelVersion } from '../schemas/records/model-version.ts';
import { UsageError } from './errors.ts';
import { wholeOption } from './options.ts';

/** A version as a person writes it: 3, or v3. */
export const versionArgument = (text: string) => wholeOption(1)(text.replace(/^v/, ''));

export async function registryOf(platform: Platform, prefix: string) {
  const { models: codec } = await platform.codecs();
  return createModelRegistry({ kafka: platform.kafka, codec, prefix });
}

/** With the evidence as JSON instead of as text. */
export function readable(change: ModelVersion): object {
  try {
    return { ...change, evidence: JSON.parse(change.evidence) as unknown };
  } catch {
    return change;
  }
}

/** A reason that says nothing is none. */
export function reasonOf(text: string | undefined, command: string): string {
  const reason = text?.trim() ?? '';
  if (reason === '')
    throw new UsageError(
      `Every change of a model says why: millrace models ${command} --reason '<one sentence for whoever reads it later>'.`,
    );
  return reason;
}
