import { createInterface } from 'node:readline/promises';

/** Questions to a person at a terminal, on standard error, so that results stay alone on standard output. */
export interface Questions {
  /** The answer, or the proposal where nothing was typed. */
  ask(question: string, proposal: string): Promise<string>;
  close(): void;
}

export function openQuestions(signal: AbortSignal): Questions {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return {
    async ask(question, proposal) {
      const shown = proposal === '' ? `${question}: ` : `${question} [${proposal}]: `;
      const answer = (await lines.question(shown, { signal })).trim();
      return answer === '' ? proposal : answer;
    },
    close: () => lines.close(),
  };
}
