/** As ClickHouse takes it. */
export const iso = (time: number): string => new Date(time).toISOString();
