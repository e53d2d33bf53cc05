import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Request {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answering {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Before the answer, ms. */
  readonly afterMs?: number;
}

/** A receiver on a free port of this machine, which answers as it is told. */
export class Receiver {
  readonly requests: Request[] = [];
  /** Answers of the next requests; then 200. */
  readonly answers: Answering[] = [];
  /** Decides by what it was sent, where `answers` has none. */
  judge: (body: string) => Answering = () => ({ status: 200 });
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.requests.push({
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      });
      const answer = this.answers.shift() ?? this.judge(this.requests.at(-1)?.body ?? '');
      const { status, headers = {}, body = '', afterMs = 0 } = answer;
      setTimeout(() => response.writeHead(status, headers).end(body), afterMs);
    });
  });

  async start(host = '127.0.0.1'): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, host, done));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/alerts`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}
