/** The text of a new mirror file, with the comments that help whoever reads it next. Pure. */
import type { MirrorError } from '../core/errors.ts';
import type { ResyncStrategy } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import type { ConnectionSpec } from '../spec/document.ts';

export interface NewMirror {
  readonly name: string;
  /** A Peer's name, or a connection. */
  readonly source: string | ConnectionSpec;
  readonly destination: string | ConnectionSpec;
  readonly strategy: ResyncStrategy;
  readonly tables: readonly NewTable[];
  readonly leftOut: readonly LeftOut[];
  /** Of the schema, from where the file will be; for editors. */
  readonly schemaPath: string;
}

/** A table that was wanted and cannot be mirrored as it is. */
export interface LeftOut {
  readonly shape: TableShape;
  readonly problems: readonly MirrorError[];
}

/** What the file says of a table, or has a comment for. */
export type NewTable = Pick<TableShape, 'name' | 'replicaIdentity' | 'foreignKeys'>;

export function mirrorFileText(file: NewMirror): string {
  const { name, strategy } = file;
  const lines = [
    `# yaml-language-server: $schema=${file.schemaPath}`,
    '#',
    `# Made by bunnydb init; from here on it is yours. Before it is committed: bunnydb check ${name}, bunnydb plan ${name}`,
    'apiVersion: bunnydb/v1',
    'kind: Mirror',
    'metadata:',
    `  name: ${name}  # the identity; slot and publication are named bunny_${name}`,
    'spec:',
    ...connectionLines('source', file.source),
    ...connectionLines('destination', file.destination),
    `  resyncStrategy: ${strategy}  # ${STRATEGIES[strategy]}`,
    '  resyncGeneration: 0  # raise it by one to copy every table afresh; a table can have its own',
    '  tables:',
    ...file.tables.flatMap((shape) => tableLines(shape, file.tables)),
    ...file.leftOut.flatMap(leftOutLines),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const STRATEGIES: Readonly<Record<ResyncStrategy, string>> = {
  truncate:
    'a resync empties the table and fills it; swap fills another one, which takes its place',
  swap: 'a resync fills another table, which takes the place of this one; truncate empties it and fills it',
};

function connectionLines(side: string, connection: string | ConnectionSpec): string[] {
  if (typeof connection === 'string') return [`  ${side}: ${scalar(connection)}  # a Peer`];
  const { host, port = 5432, database, user, password, sslMode = 'prefer' } = connection;
  const { sslRootCert, sslCert, sslKey } = connection;
  const files = Object.entries({ sslRootCert, sslCert, sslKey }).flatMap(([key, path]) =>
    path === undefined ? [] : [`    ${key}: ${scalar(path)}`],
  );
  return [
    `  ${side}:`,
    `    host: ${scalar(host)}`,
    `    port: ${port}`,
    `    database: ${scalar(database)}`,
    `    user: ${scalar(user)}`,
    ...passwordLines(password),
    `    sslMode: ${scalar(sslMode)}${sslMode === 'verify-full' ? '' : '  # verify-full is the one that nobody can listen in on'}`,
    ...files,
  ];
}

function passwordLines(password: ConnectionSpec['password']): string[] {
  if (password === undefined)
    return ['    # password: {env: NAME}  # or {file: PATH}, where the server asks for one'];
  const reference =
    'env' in password ? `env: ${scalar(password.env)}` : `file: ${scalar(password.file)}`;
  return [`    password: {${reference}}`];
}

function tableLines(shape: NewTable, chosen: readonly NewTable[]): string[] {
  const outside = shape.foreignKeys.filter(
    ({ references }) => !chosen.some((one) => sameTable(one.name, references)),
  );
  return [
    ...outside.map(({ name, references }) =>
      comment(
        `foreign key ${name} is not made: it references ${formatTableName(references)}, which is not in the list`,
      ),
    ),
    ...(shape.replicaIdentity.kind === 'full'
      ? [comment('REPLICA IDENTITY FULL: a change finds its row by all columns, one row at a time')]
      : []),
    `    - source: ${scalar(formatTableName(shape.name))}`,
  ];
}

function leftOutLines({ shape, problems }: LeftOut): string[] {
  return [
    comment(`Left out: ${formatTableName(shape.name)}`),
    ...problems.flatMap(({ message, hint }) => [comment(`  ${message}`), comment(`  ${hint}`)]),
  ];
}

/** A name may hold a line break, which would end the comment. */
function comment(text: string): string {
  return `    # ${text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')}`;
}

/** Plain where YAML takes it for nothing else than text. */
function scalar(text: string): string {
  const isPlain =
    /^[a-z_/][\w./-]*$/i.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}
