import { topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { ViewLetters } from '../../streams/audit/books.ts';
import { auditView, type ViewAudit } from '../../streams/audit/views.ts';
import type { World } from './world.ts';

/** What the states of all views took of their topics, by the books that `millrace audit` keeps. */
export async function auditViews(world: World, project: Project = world.project): Promise<ViewAudit[]> {
  const { source, store, codecs } = world;
  const writers = new Map<string, ViewLetters>();
  for (const { writer, code, sourcePartition, sourceOffset } of await world.deadLetters()) {
    const tally = writers.get(writer) ?? new ViewLetters();
    tally.add(code, sourcePartition, sourceOffset);
    writers.set(writer, tally);
  }
  const letters = new Map([[topics.raw(project.prefix, source.name), writers]]);
  const kafka = world.broker.kafka();
  const audits: ViewAudit[] = [];
  for (const view of project.views)
    audits.push(await auditView({ project, kafka, store, codecs, tick: () => {}, letters }, view));
  return audits;
}
