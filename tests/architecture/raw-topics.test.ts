import { expect, it } from 'vitest';
import { read, sourceFiles } from './sources.ts';

/** Whoever makes a raw topic's name of prefix and source forgets that a source may name a topic of its own. */
it('only `rawTopic` and `init` know the raw topic that Millrace would make', () => {
  const folders = ['config', 'processors', 'models', 'infrastructure', 'streams', 'monitoring', 'pipelines'];
  const files = [...folders, 'platform', 'client', 'api', 'cli', 'schemas'].flatMap((name) =>
    sourceFiles(name),
  );
  expect(files.length).toBeGreaterThan(300);
  const found = files.filter((file) => /\btopics\.raw\b|\$\{[^}]*\}\.\$\{[^}]*\}\.raw\b/.test(read(file)));
  expect(found.sort()).toEqual([
    'cli/init/files.ts',
    'cli/init/propose.ts',
    'cli/raw-topic.ts',
    'schemas/names.ts',
  ]);
});
