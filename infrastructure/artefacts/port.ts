/** Where the bytes of models lie, addressed by what they are. Adapters: a directory, and memory. */
export interface ArtefactStore {
  /** Stores the bytes, once; answers with their SHA-256 (hex) and where they lie, for a person. */
  put(bytes: Uint8Array): Promise<{ readonly sha256: string; readonly location: string }>;
  /** The bytes with that SHA-256, verified. Throws ArtefactStoreError. */
  get(sha256: string): Promise<Uint8Array>;
}
