/** Command lines of `millrace` in the documents, as words. */

/** Splits as a shell does, as far as documents need it: quotes, and an end at a comment or at `|`, `&`, `;`, `>`. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (const char of line) {
    if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (/[|&;>]/.test(char) || (char === '#' && word === null)) break;
    else word = (word ?? '') + char;
  }
  return word === null ? words : [...words, word];
}

/** A value for what stands for one in a document. */
const plainValues = (line: string) =>
  line
    .replace(/<[a-z][a-z_ -]*>/gi, 'x')
    .replace(/\bN\b/g, '2')
    .replaceAll('…', 'x');

/** From a clone, from a package, or in a container. */
const CALL =
  /^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:npx |\.\/)?millrace(?= |$)|^docker (?:compose )?run (?:--\S+(?: \S+\.env)? )*(?:millrace|shop(?::\d+)?|api)(?= )/;

/** The words behind `millrace` of each line that calls it. */
export function commandLines(text: string): string[][] {
  // A reader may have set P, the example's project, in a block before.
  const variables = new Map([['P', '--project x']]);
  return text
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap((raw) => {
      const [, name, value = ''] = /^([A-Z])="([^"]*)"/.exec(raw.trim()) ?? [];
      if (name !== undefined) variables.set(name, value);
      const line = plainValues(raw.trim().replace(/\$([A-Z])\b/g, (whole, of) => variables.get(of) ?? whole));
      const [call] = CALL.exec(line) ?? [];
      // In a listing, what a command does stands behind two or more blanks.
      return call === undefined ? [] : [wordsOf(line.slice(call.length).trim().split(/ {2,}/)[0] ?? '')];
    });
}

/** The words behind `millrace` between backticks in prose. */
export function inlineCommands(text: string): string[][] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  return [...prose.matchAll(/`(?:npx |\.\/|\$ )?millrace ([^`\n]+)`/g)].map(([, rest = '']) =>
    wordsOf(plainValues(rest)),
  );
}
