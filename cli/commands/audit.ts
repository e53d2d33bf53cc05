import { audit } from '../../streams/audit/audit.ts';
import { examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { count } from '../format.ts';
import { openPlatform, openProject } from '../project.ts';

export const registerAudit: Register = (program, run) => {
  program
    .command('audit')
    .description(
      'follow every raw record: accepted or refused, taken by its views, answered once at its full head, archived once; exit code 1 if not',
    )
    .addHelpText('after', examples(['millrace audit', 'after the streams have caught up']))
    .action(
      run(async (context) => {
        const { output } = context;
        const project = openProject(context);
        const platform = openPlatform(context, project);
        try {
          const progress = output.progress('reading topics', { unit: 'records' });
          const result = await audit({
            project,
            kafka: platform.kafka,
            warehouse: platform.warehouse,
            codecs: await platform.codecs(),
            store: platform.store,
            onProgress: (records) => progress.update(records),
          });
          progress.done();
          if (output.isJson) output.json(result);
          else {
            const { green, red } = output.colours;
            for (const one of result.sources)
              output.line(
                `${one.source}: ${count(one.raw)} raw = ${count(one.accepted)} accepted + ${count(one.refused)} refused (${count(one.clocks)} clocks and ${count(one.repeats)} repeats apart); rows ${count(one.acceptedRows)} + ${count(one.refusedRows)}`,
              );
            for (const one of result.models)
              output.line(
                `${one.model}: ${count(one.requests)} requests, ${count(one.predictions)} predictions (${count(one.refused)} refused), ${count(one.repeats)} repeats; ${count(one.rows)} rows`,
              );
            for (const one of result.models.flatMap(({ shadows }) => shadows))
              output.line(
                `${one.model} version ${one.version} in shadow: ${count(one.answers)} answers, ${count(one.repeats)} repeats; ${count(one.rows)} rows`,
              );
            for (const one of result.views)
              output.line(
                `${one.view}: ${count(one.contributions)} contributions = ${count(one.applied)} applied + ${count(one.refused)} refused (${count(one.repeats)} repeats and ${count(one.backfilled)} backfilled apart)`,
              );
            for (const note of result.notes) output.line(`· ${note}`);
            for (const finding of result.findings) output.line(`${red('✗')} ${finding}`);
            if (result.findings.length === 0) output.line(`${green('✓')} all adds up`);
          }
          if (result.findings.length > 0) throw new FailedResult();
        } finally {
          await platform.close();
        }
      }),
    );
};
