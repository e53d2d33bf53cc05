import { MillraceError } from '../schemas/refusal.ts';

/** What the HTTP API answers when it says no. */
interface ProblemBody {
  readonly code?: string;
  readonly detail?: string;
  readonly requestId?: string;
  readonly errors?: ReadonlyArray<{ readonly where: string; readonly message: string }>;
}

/** Statuses after which the same call may succeed later. */
const LATER = new Set([408, 429, 502, 503, 504]);

/** The HTTP API said no, or did not answer. */
export class ApiError extends MillraceError {
  /** One word for programs; `unreachable` where there was no answer. */
  readonly code: string;
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly retriable: boolean;
  /** Stands in each line that the server logged about the call. */
  readonly requestId: string | null;
  /** The problem as it was answered, with all its members; null where there was none. */
  readonly problem: object | null;

  constructor(
    message: string,
    what: {
      readonly code: string;
      readonly status?: number;
      readonly retriable?: boolean;
      readonly problem?: object | null;
      readonly cause?: unknown;
    },
  ) {
    super(message, what.cause === undefined ? {} : { cause: what.cause });
    this.code = what.code;
    this.status = what.status ?? 0;
    this.retriable = what.retriable ?? LATER.has(this.status);
    this.problem = what.problem ?? null;
    this.requestId = (this.problem as ProblemBody | null)?.requestId ?? null;
  }
}

/** The error of an answer that is not 2xx. */
export async function errorOfAnswer(answer: Response): Promise<ApiError> {
  const { status } = answer;
  const problem = (await answer.json().catch(() => null)) as ProblemBody | null;
  const rows = (problem?.errors ?? []).slice(0, 3).map(({ where, message }) => `${where}: ${message}`);
  const detail = problem?.detail ?? `the server answered ${status}, without a problem of ours`;
  return new ApiError([detail, ...rows].join(' '), { code: problem?.code ?? 'http', status, problem });
}
