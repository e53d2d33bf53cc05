import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { read, root } from '../architecture/sources.ts';

/** What the Dockerfile says, as far as it can be done without a container engine. */
export interface Image {
  /** Files that the stage of the production dependencies copies from the repository. */
  readonly copied: readonly string[];
  /** What that stage runs. */
  readonly install: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number };
  readonly environment: Readonly<Record<string, string>>;
  readonly healthCheck: readonly string[];
  readonly entryPoint: readonly string[];
  readonly command: readonly string[];
}

/** Instructions with their continued lines joined, by stage; comments left out. */
function stagesOf(text: string): string[][] {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: string[][] = [];
  for (const line of lines) {
    if (line.startsWith('FROM ')) stages.push([]);
    stages.at(-1)?.push(line);
  }
  return stages;
}

export function imageOf(text: string): Image {
  const stages = stagesOf(text);
  const dependencies = stages.find(([from = '']) => / AS dependencies$/.test(from)) ?? [];
  const last = stages.at(-1) ?? [];
  const after = (stage: readonly string[], word: string) =>
    stage.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length).trim());
  const list = (word: string) =>
    JSON.parse(/\[.*\]/.exec(after(last, word)[0] ?? '[]')?.[0] ?? '[]') as string[];
  const [uid = 0, gid = 0] = (after(last, 'USER')[0] ?? '').split(':').map(Number);
  return {
    copied: after(dependencies, 'COPY').flatMap((line) => line.split(/\s+/).slice(0, -1)),
    install: (after(dependencies, 'RUN')[0] ?? '').split(' '),
    user: { uid, gid },
    environment: Object.fromEntries(
      after(last, 'ENV')
        .flatMap((line) => line.split(/\s+/))
        .map((pair) => pair.split('=') as [string, string]),
    ),
    healthCheck: list('HEALTHCHECK'),
    entryPoint: list('ENTRYPOINT'),
    command: list('CMD'),
  };
}

/** Lays out `/app` of the image in a bare directory; the dependencies are for the caller to install. */
export function layOut(image: Image, app: string): void {
  for (const file of image.copied) cpSync(join(root, file), join(app, file));
  cpSync(join(root, 'dist'), join(app, 'dist'), { recursive: true });
}

export const readImage = () => imageOf(read('Dockerfile'));
