/** Statements that make a user's type again, and the difference between two of them. Pure text. */
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';

/** What a type is made of. Types and collations as PostgreSQL prints them with an empty search_path. */
export type TypeDefinition =
  | { readonly kind: 'enum'; readonly labels: readonly string[] }
  | {
      readonly kind: 'domain';
      readonly base: string;
      readonly collation: string | null;
      readonly notNull: boolean;
      readonly default: string | null;
      readonly checks: readonly { readonly name: string; readonly definition: string }[];
    }
  | {
      readonly kind: 'composite';
      readonly attributes: readonly {
        readonly name: string;
        readonly type: string;
        readonly collation: string | null;
      }[];
    }
  | {
      readonly kind: 'range';
      readonly subtype: string;
      readonly opclass: string;
      readonly collation: string | null;
      /** A function that needs the type before it is there; such a type is not made again. */
      readonly canonical: string | null;
      readonly difference: string | null;
      readonly multirange: TableName;
    };

/** The statement that creates it. Fails when it exists. */
export function createTypeSql(name: TableName, definition: TypeDefinition): string {
  const type = quoteTable(name);
  switch (definition.kind) {
    case 'enum':
      return `create type ${type} as enum (${definition.labels.map(quoteLiteral).join(', ')})`;
    case 'domain':
      return [
        `create domain ${type} as ${definition.base}`,
        ...(definition.collation === null ? [] : [`collate ${definition.collation}`]),
        ...(definition.default === null ? [] : [`default ${definition.default}`]),
        ...(definition.notNull ? ['not null'] : []),
        ...definition.checks.map(
          (check) => `constraint ${quoteIdent(check.name)} ${check.definition}`,
        ),
      ].join(' ');
    case 'composite':
      return `create type ${type} as (${definition.attributes.map(attributeSql).join(', ')})`;
    case 'range':
      return `create type ${type} as range (${rangeOptions(definition).join(', ')})`;
  }
}

/** `alter type … add value …` for each label that is missing, each after its neighbour at the source. */
export function addEnumValuesSql(
  name: TableName,
  labels: readonly string[],
  present: readonly string[],
): string[] {
  return labels.flatMap((label, index) => {
    if (present.includes(label)) return [];
    const before = labels[index - 1];
    const next = labels.slice(index + 1).find((later) => present.includes(later));
    const place =
      before !== undefined
        ? ` after ${quoteLiteral(before)}`
        : next !== undefined
          ? ` before ${quoteLiteral(next)}`
          : '';
    return [
      `alter type ${quoteTable(name)} add value if not exists ${quoteLiteral(label)}${place}`,
    ];
  });
}

/**
 * One line of what keeps values of `source` out of `destination`; undefined when they are alike.
 * A default does not: values arrive whole. Nor does a label that only the destination has.
 */
export function typeDifference(
  source: TypeDefinition,
  destination: TypeDefinition,
): string | undefined {
  if (source.kind !== destination.kind)
    return `is ${withArticle(source.kind)} at the source and ${withArticle(destination.kind)} at the destination`;
  if (source.kind === 'enum' && destination.kind === 'enum') {
    const missing = source.labels.filter((label) => !destination.labels.includes(label));
    return missing.length === 0 ? undefined : `lacks ${missing.map(quoteLiteral).join(', ')}`;
  }
  const [there, here] = [comparable(source), comparable(destination)];
  return there === here ? undefined : `is ${there} at the source and ${here} at the destination`;
}

function attributeSql(attribute: {
  readonly name: string;
  readonly type: string;
  readonly collation: string | null;
}): string {
  const collation = attribute.collation === null ? '' : ` collate ${attribute.collation}`;
  return `${quoteIdent(attribute.name)} ${attribute.type}${collation}`;
}

function rangeOptions(range: Extract<TypeDefinition, { kind: 'range' }>): string[] {
  return [
    `subtype = ${range.subtype}`,
    `subtype_opclass = ${range.opclass}`,
    ...(range.collation === null ? [] : [`collation = ${range.collation}`]),
    ...(range.difference === null ? [] : [`subtype_diff = ${range.difference}`]),
    `multirange_type_name = ${quoteTable(range.multirange)}`,
  ];
}

function comparable(definition: TypeDefinition): string {
  switch (definition.kind) {
    case 'enum':
      return `(${definition.labels.map(quoteLiteral).join(', ')})`;
    case 'domain':
      return [
        definition.base,
        ...(definition.collation === null ? [] : [`collate ${definition.collation}`]),
        ...(definition.notNull ? ['not null'] : []),
        ...definition.checks.map((check) => check.definition).sort(),
      ].join(' ');
    case 'composite':
      return `(${definition.attributes.map(attributeSql).join(', ')})`;
    case 'range':
      return `(${rangeOptions(definition).join(', ')})`;
  }
}

function withArticle(kind: TypeDefinition['kind']): string {
  return kind === 'enum' ? 'an enum' : `a ${kind}`;
}
