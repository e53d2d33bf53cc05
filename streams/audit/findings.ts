import type { Found } from './books.ts';
import type { ModelAudit } from './models.ts';
import type { SourceAudit } from './sources.ts';
import type { ViewAudit } from './views.ts';

/** First places of a finding, `partition:offset`. */
function named({ count, places }: Found): string {
  const first = places.slice(0, 3).map(({ partition, offset }) => `${partition}:${offset}`);
  return `${first.join(', ')}${count > first.length ? ', …' : ''}`;
}

/** What does not add up, and what is still on its way, in a sentence each. */
export function findingsOf({
  sources,
  models,
  views,
}: {
  readonly sources: readonly SourceAudit[];
  readonly models: readonly ModelAudit[];
  readonly views: readonly ViewAudit[];
}): { readonly wrong: readonly string[]; readonly open: readonly string[] } {
  const wrong: string[] = [];
  const open: string[] = [];
  const say = (found: Found, sentence: string) => {
    if (found.count > 0) wrong.push(`${found.count} ${sentence} (raw ${named(found)}).`);
  };
  for (const { source, missing, missingRows, double, waiting, unarchived } of sources) {
    say(missing, `raw records of ${source} are neither accepted nor refused`);
    say(missingRows, `records of ${source} stand in a topic and in no table`);
    say(double, `raw records of ${source} stand twice: accepted and refused, or in several rows`);
    if (waiting > 0) open.push(`${waiting} raw records of ${source} wait for ingest.`);
    if (unarchived > 0) open.push(`${unarchived} records of ${source} wait for the archive.`);
  }
  for (const { model, missing, missingRows, double, waiting, unarchived } of models) {
    say(missing, `requests have no answer of ${model}`);
    say(missingRows, `answers of ${model} stand in the topic and in no table`);
    say(double, `answers of ${model} stand in several rows, or have no request`);
    if (waiting > 0) open.push(`${waiting} requests wait for ${model}.`);
    if (unarchived > 0) open.push(`${unarchived} answers of ${model} wait for the archive.`);
  }
  for (const { model, version, missing, missingRows, double, unarchived } of models.flatMap(
    ({ shadows }) => shadows,
  )) {
    say(missing, `requests have no answer of version ${version} of ${model}, which shadowed`);
    say(missingRows, `shadow answers of version ${version} of ${model} stand in the topic and in no table`);
    say(double, `shadow answers of version ${version} of ${model} stand in several rows, or have no request`);
    if (unarchived > 0)
      open.push(`${unarchived} shadow answers of version ${version} of ${model} wait for the archive.`);
  }
  for (const { view, contributions, applied, refused, letters, off, without, waiting } of views) {
    if (off.length > 0)
      wrong.push(
        `View ${view} does not add up in partition ${off.join(', ')}: ${contributions} contributions on its topic, ${applied} applied and ${refused} refused by its state, ${letters} of them in dead letters.`,
      );
    if (without.length > 0)
      open.push(`View ${view} has no state that can be read in partition ${without.join(', ')}.`);
    if (waiting > 0) open.push(`${waiting} contributions wait for the state of ${view}.`);
  }
  return { wrong, open };
}
