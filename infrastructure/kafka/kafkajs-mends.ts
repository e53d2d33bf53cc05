import { createRequire } from 'node:module';

/** Four faults of kafkajs 2.2.4, which is frozen, mended where they are. Imported for its effect. */

const require = createRequire(import.meta.url);

interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  requestTimeoutIntervalId?: NodeJS.Timeout;
}

interface Connection {
  readonly socket?: object;
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
}

/** With nothing pending it sets a timer at -Date.now() for every request, and Node warns of the negative time. */
const queue = (require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }).prototype;
const schedule = queue.scheduleCheckPendingRequests;
queue.scheduleCheckPendingRequests = function scheduleWhereNeeded(this: RequestQueue) {
  if (this.pending.length > 0) schedule.call(this);
};

/** The check for requests that took too long goes on after some disconnects; it alone may not keep a process alive. */
const check = queue.scheduleRequestTimeoutCheck;
queue.scheduleRequestTimeoutCheck = function checkWhileAlive(this: RequestQueue) {
  check.call(this);
  this.requestTimeoutIntervalId?.unref();
};

/** Two requests on a connection that is down open two sockets: one is lost, and stays open for ever. */
const connection = (require('kafkajs/src/network/connection') as { prototype: Connection }).prototype;
const connect = connection.connect;
const connecting = new WeakMap<Connection, Promise<unknown>>();
connection.connect = function connectOnce(this: Connection) {
  let attempt = connecting.get(this);
  if (attempt === undefined) {
    attempt = connect.call(this).finally(() => connecting.delete(this));
    connecting.set(this, attempt);
  }
  return attempt;
};

/** Each request that fails ends the connection once more, and a socket that never opened keeps a listener of each. */
const disconnect = connection.disconnect;
const disconnecting = new WeakMap<Connection, Promise<unknown>>();
const ended = new WeakSet<object>();
connection.disconnect = function disconnectOnce(this: Connection) {
  const { socket } = this;
  if (socket !== undefined && ended.has(socket)) return Promise.resolve(true);
  let end = disconnecting.get(this);
  if (end === undefined) {
    end = disconnect.call(this).finally(() => {
      disconnecting.delete(this);
      if (socket !== undefined && this.socket === socket) ended.add(socket);
    });
    disconnecting.set(this, end);
  }
  return end;
};
