/** Statements that put on a table what another one had, and bind to it what was bound to the other. Pure text. */
import type {
  Access,
  Belongings,
  Comment,
  ForeignKeyPart,
  Grant,
  Keeper,
  Membership,
  Policy,
  ReadingPolicy,
  Switched,
  View,
} from '../core/belongings.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import { restoreForeignKeySql } from './foreign-key-ddl.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { optionList } from './shadow.ts';

/** Exactly what was granted, by whom; and nothing that default privileges gave the new table. */
export function accessSql(
  table: TableName,
  sides: { readonly wanted: Belongings; readonly present: Belongings; readonly role: string },
): string[] {
  const { wanted, present, role } = sides;
  return [
    ...present.access
      .filter((access) => !(access.untouched && twin(wanted, access)?.untouched !== false))
      .flatMap((access) => revokeSql(table, access, wanted.owner)),
    ...wanted.access
      .filter((access) => !(access.untouched && twin(present, access)?.untouched !== false))
      .flatMap((access) =>
        inOrderOfGrantors(access.grants, wanted.owner).flatMap((grant) =>
          grantSql(table, access, { grant, owner: wanted.owner, role }),
        ),
      ),
  ];
}

function twin({ access }: Belongings, { kind, name }: Access): Access | undefined {
  return access.find((other) => other.kind === kind && other.name === name);
}

/** The shadow was its maker's, whose own rights have passed to the new owner with it. */
function revokeSql(table: TableName, access: Access, owner: string): string[] {
  const grantees = new Set([owner, ...access.grants.map(({ grantee }) => grantee)]);
  const all = access.kind === 'column' ? `all (${quoteIdent(access.name)})` : 'all';
  return [...grantees].map(
    (grantee) => `revoke ${all} on ${objectSql(table, access)} from ${granteeSql(grantee)}`,
  );
}

/** A grantor must have had the right before. The owner has it of old. */
function inOrderOfGrantors(grants: readonly Grant[], owner: string): Grant[] {
  const ordered: Grant[] = [];
  const able = new Set([owner]);
  for (let rest = [...grants]; rest.length > 0;) {
    const next = rest.filter(({ grantor }) => able.has(grantor));
    // A circle, which only a catalog edited by hand can have: as they come.
    const taken = next.length > 0 ? next : rest;
    ordered.push(...taken);
    for (const { grantee, grantable } of taken)
      if (grantable && grantee !== null) able.add(grantee);
    rest = rest.filter((grant) => !taken.includes(grant));
  }
  return ordered;
}

function grantSql(
  table: TableName,
  access: Access,
  by: { readonly grant: Grant; readonly owner: string; readonly role: string },
): string[] {
  const { grant, owner, role } = by;
  const column = access.kind === 'column' ? ` (${quoteIdent(access.name)})` : '';
  const privileges = grant.privileges.map((privilege) => `${privilege}${column}`).join(', ');
  const option = grant.grantable && grant.grantee !== owner ? ' with grant option' : '';
  const statement = `grant ${privileges} on ${objectSql(table, access)} to ${granteeSql(grant.grantee)}${option}`;
  return grant.grantor === owner
    ? [statement]
    : [
        `set local role ${quoteIdent(grant.grantor)}`,
        statement,
        `set local role ${quoteIdent(role)}`,
      ];
}

function objectSql(table: TableName, { kind, name }: Access): string {
  return kind === 'sequence'
    ? `sequence ${quoteTable({ schema: table.schema, name })}`
    : `table ${quoteTable(table)}`;
}

function granteeSql(grantee: string | null): string {
  return grantee === null ? 'public' : quoteIdent(grantee);
}

/** Only those that differ: the shadow was born with most of them. */
export function commentsSql(
  table: TableName,
  wanted: readonly Comment[],
  present: readonly Comment[],
): string[] {
  const key = ({ kind, name }: Comment): string => `${kind} ${name}`;
  const had = new Map(present.map((comment) => [key(comment), comment.text]));
  const shall = new Set(wanted.map(key));
  return [
    ...wanted
      .filter((comment) => had.get(key(comment)) !== comment.text)
      .map((comment) => commentSql(table, comment, comment.text)),
    ...present
      .filter((comment) => !shall.has(key(comment)))
      .map((comment) => commentSql(table, comment, null)),
  ];
}

function commentSql(table: TableName, { kind, name }: Comment, text: string | null): string {
  const own = quoteTable(table);
  const beside = quoteTable({ schema: table.schema, name });
  const object = {
    table: `table ${own}`,
    column: `column ${own}.${quoteIdent(name)}`,
    constraint: `constraint ${quoteIdent(name)} on ${own}`,
    index: `index ${beside}`,
    sequence: `sequence ${beside}`,
  }[kind];
  return `comment on ${object} is ${text === null ? 'null' : quoteLiteral(text)}`;
}

const COMMANDS: Readonly<Record<string, string>> = {
  '*': 'all',
  r: 'select',
  a: 'insert',
  w: 'update',
  d: 'delete',
};

export function policySql(table: TableName, policy: Policy): string[] {
  const { name, permissive, command, roles, using, check, comment } = policy;
  const on = `${quoteIdent(name)} on ${quoteTable(table)}`;
  return [
    [
      `create policy ${on} as ${permissive ? 'permissive' : 'restrictive'}`,
      `for ${COMMANDS[command] ?? 'all'} to ${roles.map(granteeSql).join(', ')}`,
      ...conditions({ using, check }),
    ].join(' '),
    ...remark(`policy ${on}`, comment),
  ];
}

/** The policy of another table is read anew, and finds the table that has the name now. */
export function readingPolicySql({ table, name, using, check }: ReadingPolicy): string {
  return [
    `alter policy ${quoteIdent(name)} on ${quoteTable(table)}`,
    ...conditions({ using, check }),
  ].join(' ');
}

function conditions(policy: Pick<Policy, 'using' | 'check'>): string[] {
  return [
    ...(policy.using === null ? [] : [`using (${policy.using})`]),
    ...(policy.check === null ? [] : [`with check (${policy.check})`]),
  ];
}

const SWITCHES: Readonly<Record<string, string>> = {
  D: 'disable',
  R: 'enable replica',
  A: 'enable always',
};

export function switchedSql(
  table: TableName,
  kind: 'trigger' | 'rule',
  { name, definition, enabled, comment }: Switched,
): string[] {
  const turn = SWITCHES[enabled];
  return [
    withoutEnd(definition),
    ...(turn === undefined
      ? []
      : [`alter table ${quoteTable(table)} ${turn} ${kind} ${quoteIdent(name)}`]),
    ...remark(`${kind} ${quoteIdent(name)} on ${quoteTable(table)}`, comment),
  ];
}

/** The server makes its own triggers under names of the moment: these are found by what they do. */
export function keeperSql({ constraint, owner, table, function: does, enabled }: Keeper): string {
  const turn = `alter table ${quoteTable(table)} ${SWITCHES[enabled] ?? 'enable'} trigger `;
  const body = `declare keeper name; begin
    for keeper in
      select t.tgname from pg_trigger t join pg_constraint con on con.oid = t.tgconstraint
      where t.tgisinternal and con.conname = ${quoteLiteral(constraint)}
        and con.conrelid = ${quoteLiteral(quoteTable(owner))}::regclass
        and t.tgrelid = ${quoteLiteral(quoteTable(table))}::regclass
        and t.tgfoid = ${quoteLiteral(does)}::regprocedure
    loop execute ${quoteLiteral(turn)} || quote_ident(keeper); end loop; end`;
  return `do language plpgsql ${quoteLiteral(body)}`;
}

export function readingRuleSql(definition: string): string {
  return withoutEnd(definition.replace(/^CREATE RULE/, 'CREATE OR REPLACE RULE'));
}

export function publishSql(table: TableName, { publication, columns, filter }: Membership): string {
  const list = columns === null ? '' : ` (${columns.map(quoteIdent).join(', ')})`;
  const where = filter === null ? '' : ` where (${filter})`;
  return `alter publication ${quoteIdent(publication)} add table only ${quoteTable(table)}${list}${where}`;
}

export function unpublishSql(table: TableName, { publication }: Membership): string {
  return `alter publication ${quoteIdent(publication)} drop table only ${quoteTable(table)}`;
}

/** Not checked against the rows here; one that is only declared never is. */
export function foreignKeySql(key: ForeignKeyPart): string[] {
  const name = quoteIdent(key.name);
  return [
    restoreForeignKeySql(key.owner, key, { validate: !key.enforced }),
    ...remark(`constraint ${name} on ${quoteTable(key.owner)}`, key.comment),
  ];
}

/** The same view: its oid, owner, grants, comments, triggers and all that reads it stay. */
export function viewSql({ name, options, definition }: View): string {
  const kept = options.length === 0 ? '' : ` with (${optionList(options)})`;
  return `create or replace view ${quoteTable(name)}${kept} as ${withoutEnd(definition)}`;
}

function remark(object: string, comment: string | null): string[] {
  return comment === null ? [] : [`comment on ${object} is ${quoteLiteral(comment)}`];
}

/** The server ends some definitions with a semicolon, and not others. */
function withoutEnd(definition: string): string {
  return definition.trimEnd().replace(/;$/, '');
}

/** Whether the foreign key is one that the table itself has. */
export function isOwn(key: ForeignKeyPart, table: TableName): boolean {
  return sameTable(key.owner, table);
}
