/**
 * One error class and one table of rules. Nothing else in the project decides whether to try again:
 * a step throws a MirrorError (or any driver error, see classify), the loop looks up its rule.
 */

/** `backoff`: by itself, 1 s to 5 min. `when-spec-changes`: a human must edit the file. */
export type Retry = 'backoff' | 'when-spec-changes';

interface Rule {
  readonly retry: Retry;
  /** A sentence for the operator: what to look at, which setting, whether data is safe. */
  readonly hint: string;
  /** SQLSTATEs and errno names that mean this code when a driver throws them. */
  readonly when?: readonly string[];
}

/** Each code is also the condition reason in the status file, 1:1. */
export const ERROR_RULES = {
  ConnectionFailed: {
    retry: 'backoff',
    hint: 'Check that the server is up and that host and port in the mirror file are right.',
    when: [
      'ECONNREFUSED',
      'ECONNRESET',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ETIMEDOUT',
      'EPIPE',
      '08000',
      '08001',
      '08003',
      '08004',
      '08006',
      '57P01',
      '57P02',
      '57P03',
      '57P05',
    ],
  },
  AuthenticationFailed: {
    retry: 'backoff',
    hint: 'Check user and password; the password is read again from its env variable or file at each try.',
    when: ['28P01', '28000'],
  },
  DatabaseMissing: {
    retry: 'backoff',
    hint: 'Create the database or correct its name in the mirror file.',
    when: ['3D000'],
  },
  TooManyConnections: {
    retry: 'backoff',
    hint: 'Raise max_connections or lower snapshot.maxParallelWorkers and snapshot.tablesInParallel.',
    when: ['53300'],
  },
  SecretUnavailable: {
    retry: 'backoff',
    hint: 'Set the environment variable or create the file that the password refers to.',
  },
  TlsUnavailable: {
    retry: 'backoff',
    hint: 'Check sslMode and the certificate files; "prefer" goes on without TLS, "require" does not.',
    when: [
      'EPROTO',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'CERT_HAS_EXPIRED',
      'CERT_NOT_YET_VALID',
      'CERT_REVOKED',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
  },
  WalLevelNotLogical: {
    retry: 'backoff',
    hint: "On the source: ALTER SYSTEM SET wal_level = 'logical', then restart the server.",
  },
  ServerTooOld: {
    retry: 'backoff',
    hint: 'PostgreSQL 14 or newer is needed on either side.',
  },
  PermissionDenied: {
    retry: 'backoff',
    hint: 'Grant the right that the message names to the role in the mirror file.',
    when: ['42501'],
  },
  ReplicationRoleDenied: {
    retry: 'backoff',
    hint: 'On the destination, as a superuser: GRANT SET ON PARAMETER session_replication_role TO the role (PostgreSQL 15 or newer), or use a superuser.',
  },
  NoFreeSlot: {
    retry: 'backoff',
    hint: 'Raise max_replication_slots and max_wal_senders on the source, or drop a slot that nobody uses.',
    when: ['53400'],
  },
  SlotBusy: {
    retry: 'backoff',
    hint: 'Another session still reads the slot; a daemon that was killed frees it within wal_sender_timeout.',
    when: ['55006'],
  },
  SlotWaiting: {
    retry: 'backoff',
    hint: 'Creating a slot waits for every transaction that was open; end the one that the message names.',
  },
  SlotLost: {
    retry: 'when-spec-changes',
    hint: "Changes are gone from the source, and nothing is applied. Set onSlotLoss: Resync, or raise the mirror's resyncGeneration: every table is copied again.",
  },
  TargetRewound: {
    retry: 'when-spec-changes',
    hint: "The source was told to forget changes that are not here, and nothing is applied. Set onSlotLoss: Resync, or raise the mirror's resyncGeneration: every table is copied again.",
  },
  SlotUnknown: {
    retry: 'when-spec-changes',
    hint: "The slot may be this mirror's own, when its file led to another destination before: take that edit back. If it is another mirror's, rename this one.",
  },
  IdentityChanged: {
    retry: 'when-spec-changes',
    hint: "Correct the connection, or raise the mirror's resyncGeneration, in the same commit or a later one: every table is copied again from this source.",
  },
  ImmutableFieldChanged: {
    retry: 'when-spec-changes',
    hint: "Take the edit back, or raise the mirror's resyncGeneration with it: every table is then copied again.",
  },
  NotOwner: {
    retry: 'backoff',
    hint: 'Another daemon runs this mirror; this one stands by and takes over when it is gone.',
  },
  LedgerTooNew: {
    retry: 'backoff',
    hint: 'The destination was written by a newer bunnydb; run that version.',
  },
  TableMissing: {
    retry: 'backoff',
    hint: 'Create the table on the source or remove it from the mirror file.',
    when: ['42P01'],
  },
  TableNotMirrorable: {
    retry: 'backoff',
    hint: 'Only ordinary, logged tables can be mirrored; remove it from the mirror file.',
  },
  NoReplicaIdentity: {
    retry: 'backoff',
    hint: 'Give the table a primary key, or: ALTER TABLE … REPLICA IDENTITY FULL. Publishing it as it is would make its own UPDATE and DELETE fail.',
  },
  SchemaMismatch: {
    retry: 'backoff',
    hint: 'Make the destination table like the source, or drop it and let bunnydb create it.',
    when: ['42703', '42804'],
  },
  ObjectMissing: {
    retry: 'backoff',
    hint: 'Create what the message names; a database is not given functions, collations and the like of the other.',
    // undefined_function (operators too), undefined_object (a collation, an operator class, a role).
    when: ['42883', '42704'],
  },
  NameTaken: {
    retry: 'backoff',
    hint: 'Something else has the name that the message says: rename or drop it, or name another destination.',
    // duplicate_object, duplicate_table (any relation), duplicate_schema, duplicate_function, reserved_name.
    when: ['42710', '42P07', '42P06', '42723', '42939'],
  },
  DestinationNotEmpty: {
    retry: 'backoff',
    hint: 'Empty the table, or set its resyncGeneration to 1 or more to let the copy replace its rows.',
  },
  DestinationTaken: {
    retry: 'backoff',
    hint: 'It is taken over when that mirror has let go of it: take the table out of its file; one that is suspended lets go when it is resumed.',
  },
  SwapObstructed: {
    retry: 'backoff',
    hint: 'Drop or change the object that the message names for the time of the resync, or set resyncStrategy: truncate for this table.',
  },
  DropObstructed: {
    retry: 'backoff',
    hint: 'Drop or change what the message names; it is tried again. With deletionPolicy: Retain the table is kept.',
  },
  ConstraintViolated: {
    retry: 'backoff',
    hint: 'The destination has rows or constraints that the source does not have; remove them. A resync replaces the rows, and keeps such a constraint or index.',
    when: ['23000', '23001', '23502', '23503', '23505', '23514', '23P01'],
  },
  ValueRefused: {
    retry: 'backoff',
    hint: 'The destination column cannot hold a value of the source; compare the two columns and their types.',
    when: ['22P02', '22P03', '22001', '22003', '22007', '22008', '22021', '22P05', '2200N'],
  },
  LockTimeout: {
    retry: 'backoff',
    hint: 'Another session holds the table; it is tried again.',
    when: ['55P03', '40P01', '40001'],
  },
  RowCountMismatch: {
    retry: 'backoff',
    hint: 'The copy was thrown away and starts again.',
  },
  SnapshotLost: {
    retry: 'backoff',
    hint: 'The source session that held the snapshot is gone; the copy starts again.',
  },
  DiskFull: {
    retry: 'backoff',
    hint: 'Free space on the server that the message names.',
    when: ['53100'],
  },
  SpoolFull: {
    retry: 'when-spec-changes',
    hint: 'More changes came than are kept for a failed table; bump its resyncGeneration.',
  },
  RowsMissing: {
    retry: 'when-spec-changes',
    hint: 'Something else wrote to the destination table. It follows on, and is right again after a resync: bump its resyncGeneration.',
  },
  VerificationFailed: {
    retry: 'when-spec-changes',
    hint: 'Something else wrote to the destination table, or bunnydb has a defect. Bump its resyncGeneration: it is copied afresh and compared again.',
  },
  ReadOnly: {
    retry: 'backoff',
    hint: 'The destination refuses writes: it is a standby or default_transaction_read_only is on.',
    when: ['25006'],
  },
  InvalidSpec: {
    retry: 'when-spec-changes',
    hint: 'Run `bunnydb validate` for every error with its place.',
  },
  NotSupported: {
    retry: 'when-spec-changes',
    hint: 'This version cannot do it yet; the message names what.',
  },
  Unexpected: {
    retry: 'backoff',
    hint: 'Not an error we know; the log has the whole of it. It is tried again.',
  },
} as const satisfies Record<string, Rule>;

export type ErrorCode = keyof typeof ERROR_RULES;

/** Whether only a human can mend it. A code that another version wrote is taken for one that is tried again. */
export function needsHuman(code: string): boolean {
  return Object.entries(ERROR_RULES).some(
    ([name, { retry }]) => name === code && retry === 'when-spec-changes',
  );
}

const CODE_BY_DRIVER_CODE = new Map<string, ErrorCode>(
  Object.entries(ERROR_RULES).flatMap(([code, rule]) =>
    ('when' in rule ? rule.when : []).map((driverCode): [string, ErrorCode] => [
      driverCode,
      code as ErrorCode,
    ]),
  ),
);

export interface MirrorErrorOptions {
  readonly cause?: unknown;
  /** Replaces the rule's hint where the place knows better. */
  readonly hint?: string;
}

/** The one error of the project. `message` is one line, holds no secret and no row. */
export class MirrorError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: MirrorErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'MirrorError';
    this.code = code;
    this.hint = options.hint ?? ERROR_RULES[code].hint;
  }

  get retry(): Retry {
    return ERROR_RULES[this.code].retry;
  }
}

/** The messages of these quote the value that was refused: a piece of a row. */
const QUOTES_VALUES: ReadonlySet<string> = new Set([
  '22P02',
  '22P03',
  '22001',
  '22003',
  '22007',
  '22008',
  // tsvector and its like speak of a syntax error in the value.
  '42601',
]);

/**
 * Turns whatever was thrown into a MirrorError, by SQLSTATE or errno, never by message text.
 * A driver error's `detail` and `where` may hold row data and are left behind in the cause.
 */
export function classify(thrown: unknown, doing?: string): MirrorError {
  if (thrown instanceof MirrorError) return thrown;
  const code = driverCode(thrown);
  const known = code === undefined ? undefined : CODE_BY_DRIVER_CODE.get(code);
  const text =
    (thrown instanceof Error ? thrown.message || code : String(thrown)) ?? 'unknown error';
  const shown = thrown instanceof Error ? wordsOf(thrown) || text : text;
  const message = (doing ? `${doing}: ${shown}` : shown).replaceAll(/\s+/g, ' ');
  const cause = shown === text ? thrown : withoutValue(thrown as Error, text, shown);
  return new MirrorError(known ?? 'Unexpected', message, { cause });
}

/** Its message, without the value that it quotes. */
export function wordsOf(thrown: Error): string {
  const code = driverCode(thrown);
  const isQuoting = code !== undefined && QUOTES_VALUES.has(code);
  return isQuoting ? thrown.message.replace(/".*"/s, '"…"') : thrown.message;
}

/** What a log may print of a driver's error whose own words hold a value. */
function withoutValue(thrown: Error, text: string, shown: string): Error {
  const error = Object.assign(new Error(shown), { code: driverCode(thrown) });
  if (thrown.stack !== undefined) error.stack = thrown.stack.replace(text, shown);
  return error;
}

/** The SQLSTATE or errno name of a driver's error. */
export function driverCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
