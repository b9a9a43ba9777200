/** What a mirror needs of its two servers and the planner does not ask for: room, and rights to come. Pure. */
import type { ErrorCode } from '../../core/errors.ts';
import type { Mirror } from '../../core/mirror.ts';
import { formatTableName } from '../../core/table-name.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { DestinationFacts, SourceFacts, Usage } from './check-look.ts';
import type { CheckName } from './check-name.ts';
import type { Finding } from './finding.ts';
import { majorVersion } from '../server-version.ts';

/** What of the source the planner does not ask for. */
export function sourceFindings(mirror: Mirror, { server, slot, room }: SourceFacts): Finding[] {
  return [
    ...(slot === undefined ? usageFindings('free-slot', room.slots) : []),
    ...(slot?.active === true ? [] : usageFindings('free-walsender', room.walSenders)),
    retentionNote(mirror, room.maxSlotWalKeepSize),
    ...(room.inRecovery && mirror.publication.managed
      ? [
          {
            name: 'source-primary',
            result: 'fail',
            table: undefined,
            code: 'ReadOnly',
            message: `the source is a standby, where no publication can be made`,
            fix:
              server.version >= STANDBY_SLOTS_VERSION
                ? 'Name the primary in spec.source; or let a publication be made there and name it in spec.publication.'
                : 'Name the primary in spec.source.',
          } as const,
        ]
      : []),
  ];
}

/** From here on a standby can have logical slots. */
const STANDBY_SLOTS_VERSION = 160_000;

function usageFindings(name: 'free-slot' | 'free-walsender', { used, max }: Usage): Finding[] {
  if (used < max) return [];
  const [setting, what, instead] =
    name === 'free-slot'
      ? [
          'max_replication_slots',
          'replication slots',
          ' Or drop one that nobody uses: SELECT slot_name FROM pg_replication_slots WHERE NOT active;',
        ]
      : ['max_wal_senders', 'walsenders', ''];
  return [
    {
      name,
      result: 'fail',
      table: undefined,
      code: 'NoFreeSlot',
      message: `all ${max} ${what} of the source are in use`,
      fix: `On the source: ALTER SYSTEM SET ${setting} = ${max + 10}; then restart it.${instead}`,
    },
  ];
}

/** No fault either way: a choice between two. */
function retentionNote(mirror: Mirror, size: string): Finding {
  const message =
    size === '-1'
      ? 'max_slot_wal_keep_size is -1: while no daemon reads the slot, its WAL can fill the disk of the source'
      : `max_slot_wal_keep_size is ${size}: a slot that falls further behind is lost, and everything is copied again when onSlotLoss (${mirror.onSlotLoss}) or a human says so`;
  return { name: 'wal-retention', result: 'note', table: undefined, message };
}

/** What of the destination the planner does not ask for. */
export function destinationFindings(mirror: Mirror, facts: DestinationFacts): Finding[] {
  const { rights, server } = facts;
  const role = quoteIdent(server.role.name);
  const fail = (name: CheckName, code: ErrorCode, message: string, fix: string): Finding => ({
    name,
    result: 'fail',
    table: undefined,
    code,
    message,
    fix,
  });
  return [
    ...(rights.inRecovery
      ? [
          fail(
            'destination-primary',
            'ReadOnly',
            'the destination is a standby, which takes no writes',
            'Name the primary in spec.destination.',
          ),
        ]
      : []),
    ...(rights.ledger === 'denied'
      ? [
          fail(
            'ledger',
            'PermissionDenied',
            `role ${server.role.name} may not write the ledger, schema bunnydb`,
            ledgerFix(server.role.name),
          ),
        ]
      : []),
    ...(rights.replicaRole
      ? []
      : [
          fail(
            'replica-role',
            'ReplicationRoleDenied',
            `role ${server.role.name} may not set session_replication_role`,
            server.version >= PARAMETER_GRANTS_VERSION
              ? `On the destination, as a superuser: GRANT SET ON PARAMETER session_replication_role TO ${role};`
              : `On the destination, as a superuser: ALTER ROLE ${role} SUPERUSER; PostgreSQL ${majorVersion(server)} knows no smaller right.`,
          ),
        ]),
    ...missingSchemaRights(mirror, facts).map(({ schema, tables, fix }) =>
      fail(
        'create-tables',
        'PermissionDenied',
        `role ${server.role.name} may not CREATE ${tables.join(', ')} in ${schema}`,
        fix,
      ),
    ),
  ];
}

/** From here on a single setting can be granted. */
const PARAMETER_GRANTS_VERSION = 150_000;

/** For a role that may not use the ledger that is there. */
export function ledgerFix(role: string): string {
  return `On the destination: GRANT USAGE, CREATE ON SCHEMA bunnydb TO ${quoteIdent(role)}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bunnydb TO ${quoteIdent(role)}; or connect as the role that owns it.`;
}

/** Where tables are missing that our role may not make. */
function missingSchemaRights(
  { tables }: Mirror,
  { server, shapes, rights }: DestinationFacts,
): { schema: string; tables: string[]; fix: string }[] {
  const missing = tables.filter((_, index) => shapes[index] === undefined);
  const role = quoteIdent(server.role.name);
  return [...new Set(missing.map(({ destination }) => destination.schema))].flatMap((schema) => {
    if (rights.schemas.get(schema) ?? server.canCreate) return [];
    const grant = rights.schemas.has(schema)
      ? `GRANT USAGE, CREATE ON SCHEMA ${quoteIdent(schema)}`
      : `GRANT CREATE ON DATABASE ${quoteIdent(server.database)}`;
    return [
      {
        schema: rights.schemas.has(schema)
          ? `schema ${schema}`
          : `database ${server.database}, which has no schema ${schema}`,
        tables: missing
          .filter(({ destination }) => destination.schema === schema)
          .map(({ destination }) => formatTableName(destination)),
        fix: `On the destination: ${grant} TO ${role};`,
      },
    ];
  });
}
