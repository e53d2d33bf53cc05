/** The shape that every native service has: install, then launch, then ready. One file a service. */

export const serviceNames = ['kafka', 'redis', 'registry', 'clickhouse'] as const;
export type ServiceName = (typeof serviceNames)[number];

export type StackProgress = {
  service: ServiceName;
  phase: 'download' | 'install' | 'start' | 'ready' | 'reuse' | 'stop';
  detail: string;
  /** Since the call that reports it began, in milliseconds. */
  elapsedMs: number;
};

export type Report = (phase: StackProgress['phase'], detail: string) => void;

export type InstallContext = { cacheDir: string; report: Report; signal: AbortSignal };

export type Launch = {
  command: string;
  args: string[];
  env: Readonly<Record<string, string>>;
  cwd: string;
};

export type LaunchContext = {
  /** Where `install` left the program. */
  installed: string;
  /** The service's own data directory; it exists. */
  dataDir: string;
  ports: Readonly<Record<string, number>>;
  /** Brokers, for the services that need Kafka. */
  kafka: string;
  signal: AbortSignal;
};

export type Service = {
  name: ServiceName;
  needs: readonly ServiceName[];
  /** Port names and preferred numbers; `main` is the one that clients use. */
  ports: Readonly<Record<string, number>>;
  /** Downloads what is missing, verifies it, and says where it is. Idempotent; safe to run beside itself. */
  install(context: InstallContext): Promise<string>;
  launch(context: LaunchContext): Promise<Launch>;
  /** One try, by the service's own protocol: false or a throw means not yet. */
  ready(ports: Readonly<Record<string, number>>): Promise<boolean>;
  /** What a newly started service must be told once, over its own interface. */
  prepare?(ports: Readonly<Record<string, number>>): Promise<void>;
  /** How long a start may take, in milliseconds. */
  startWithinMs: number;
  /** How long a clean stop may take before SIGKILL, in milliseconds. */
  stopWithinMs: number;
  address(port: number): string;
};
