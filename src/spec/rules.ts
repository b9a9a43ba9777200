/** What a schema cannot say about one mirror or one peer. All findings, in the order of the file. */
import { IANAZone } from 'luxon';
import { printable } from '../core/printable.ts';
import { ownerOfReservedSchema } from '../core/reserved-schema.ts';
import {
  MAX_IDENTIFIER_BYTES,
  formatTableName,
  parseTableName,
  type TableName,
} from '../core/table-name.ts';
import type {
  ConnectionSpec,
  MirrorSpec,
  PeerDocument,
  TableSpec,
  WindowSpec,
} from './document.ts';
import { formatFieldPath, type FieldPath } from './field-path.ts';
import { nearest } from './suggest.ts';
import type { Finding } from './yaml-file.ts';

/** Checks a mirror by itself; the peers it names are checked in their own files. */
export function checkMirror(spec: MirrorSpec): Finding[] {
  const { source, destination, publication, maintenanceWindows = [] } = spec;
  return [
    ...(typeof source === 'string' ? [] : checkConnection(source, ['spec', 'source'])),
    ...(typeof destination === 'string'
      ? []
      : checkConnection(destination, ['spec', 'destination'])),
    ...checkLength(publication, ['spec', 'publication']),
    ...spec.tables.flatMap(checkTable),
    ...checkRepeated(spec.tables, 'source'),
    ...checkRepeated(spec.tables, 'destination'),
    ...maintenanceWindows.flatMap(checkTimeZone),
  ];
}

function checkTimeZone({ timeZone }: WindowSpec, index: number): Finding[] {
  if (timeZone === undefined || IANAZone.isValidZone(timeZone)) return [];
  const path = ['spec', 'maintenanceWindows', index, 'timeZone'];
  const meant = nearest(timeZone, Intl.supportedValuesOf('timeZone'));
  const hint =
    meant === undefined ? 'write an IANA name such as Europe/Berlin' : `did you mean ${meant}?`;
  const message = `${formatFieldPath(path)} ${JSON.stringify(timeZone)} is no time zone`;
  return [{ code: 'InvalidValue', path, message, hint }];
}

/** Checks a peer by itself. */
export function checkPeer({ spec }: PeerDocument): Finding[] {
  return checkConnection(spec, ['spec']);
}

function checkConnection(connection: ConnectionSpec, path: FieldPath): Finding[] {
  const findings = [
    ...checkLength(connection.database, [...path, 'database']),
    ...checkLength(connection.user, [...path, 'user']),
  ];
  const [present, missing] =
    connection.sslCert === undefined ? ['sslKey', 'sslCert'] : ['sslCert', 'sslKey'];
  if ((connection.sslCert === undefined) !== (connection.sslKey === undefined))
    findings.push({
      code: 'IncompleteCertificate',
      path: [...path, present],
      atKey: true,
      message: `${formatFieldPath([...path, present])} needs ${missing} beside it`,
    });
  return findings;
}

function checkTable(table: TableSpec, index: number): Finding[] {
  const path = ['spec', 'tables', index];
  return [
    ...checkTableName(table.source, [...path, 'source']),
    ...(table.destination === undefined
      ? []
      : checkTableName(table.destination, [...path, 'destination'])),
    ...(table.excludeColumns ?? []).flatMap((column, at) =>
      checkLength(column, [...path, 'excludeColumns', at]),
    ),
  ];
}

/** By default the destination is the source: a name that is wrong for both is told once, at the source. */
function checkTableName(text: string, path: FieldPath): Finding[] {
  const name = parseTableName(text);
  if (name !== undefined) return checkSchema(name, path);
  const field = formatFieldPath(path);
  // Every name that parses when cut to one letter per part was refused only for its length.
  const isTooLong = parseTableName(text.replaceAll(/[^".]+/gu, 'x')) !== undefined;
  if (isTooLong)
    return [
      {
        code: 'NameTooLong',
        path,
        message: `${field} has a part longer than ${MAX_IDENTIFIER_BYTES} bytes, which PostgreSQL would cut`,
      },
    ];
  return [
    {
      code: 'InvalidTableName',
      path,
      message: `${field} must be schema.table`,
      hint: tableNameHint(text),
    },
  ];
}

/** What is written there would be gone: the progress of every mirror of that database, or the server itself. */
function checkSchema({ schema }: TableName, path: FieldPath): Finding[] {
  const owner = ownerOfReservedSchema(schema);
  if (owner === undefined) return [];
  const message = `${formatFieldPath(path)} is in schema ${schema}, which is ${owner}`;
  const hint = 'name a table of a schema of your own';
  return [{ code: 'ReservedSchema', path, message, hint }];
}

function tableNameHint(text: string): string | undefined {
  if (printable(text) !== text) return undefined;
  if (/^[^".]+$/u.test(text)) return `did you mean public.${text}?`;
  return 'a part that holds a dot is written in quotes: public."a.b"';
}

function checkLength(name: string | undefined, path: FieldPath): Finding[] {
  if (name === undefined || Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES) return [];
  const message = `${formatFieldPath(path)} is longer than ${MAX_IDENTIFIER_BYTES} bytes, which PostgreSQL would cut`;
  return [{ code: 'NameTooLong', path, message }];
}

function checkRepeated(tables: readonly TableSpec[], side: 'source' | 'destination'): Finding[] {
  const firstIndex = new Map<string, number>();
  const findings: Finding[] = [];
  for (const [index, table] of tables.entries()) {
    const name = parseTableName(
      side === 'source' ? table.source : (table.destination ?? table.source),
    );
    if (name === undefined) continue;
    const text = formatTableName(name);
    const first = firstIndex.get(text);
    if (first === undefined) {
      firstIndex.set(text, index);
      continue;
    }
    // The same line written twice is one mistake, not two.
    if (
      side === 'destination' &&
      table.destination === undefined &&
      tables[first]?.destination === undefined
    )
      continue;
    findings.push({
      code: 'DuplicateTable',
      path: [
        'spec',
        'tables',
        index,
        side === 'source' || table.destination === undefined ? 'source' : side,
      ],
      message: `${text} is the ${side} of spec.tables[${first}] already`,
      ...(side === 'source'
        ? { hint: 'a table can be in a mirror once; use a second mirror' }
        : {}),
    });
  }
  return findings;
}
