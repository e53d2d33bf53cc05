import { type DestinationStream, pino } from 'pino';
import { redact } from '../../schemas/redaction.ts';

/** What streams and tools need of a log. Fields first, then one sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LoggerOptions {
  /** Name of the process in every line, e.g. `run ingest`. */
  readonly process: string;
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Where the lines go: a file (made with its directory, appended to), or standard error. */
  readonly file?: string | undefined;
}

/** One JSON object a line. Standard error, so that a command's own output stays clean. */
export function createLogger(options: LoggerOptions, destination?: DestinationStream): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: { process: options.process, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // A failure's cause is told too, and never the bytes of a record.
    serializers: { error: pino.stdSerializers.errWithCause },
  };
  const sink = destination ?? destinationOf(options.file);
  // Whoever logs a line, and whatever stands in it: the causes of errors are other people's words.
  return pino(settings, { write: (line) => sink.write(redact(line)) });
}

/** Synchronous, so that the last lines before a crash are there. */
function destinationOf(file: string | undefined): DestinationStream {
  return pino.destination(
    file === undefined ? { fd: 2, sync: true } : { dest: file, sync: true, mkdir: true },
  );
}
