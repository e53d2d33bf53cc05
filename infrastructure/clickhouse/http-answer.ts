/** An answer that is no success and not in ClickHouse's own words: of a proxy, or of its HTTP layer. */
export class HttpAnswer extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    const says = text
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 300);
    super(`HTTP status ${status}${says === '' ? ', without a reason' : `: ${says}`}`);
    this.status = status;
  }
}
