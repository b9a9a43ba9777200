/**
 * Carries out the steps that change definitions: on the source the publication and the slot, on the
 * destination schemas, types, tables, keys. Never a row. Each is idempotent: it looks first.
 */
import type { Step } from '../plan/plan.ts';
import { createConstraint, createIndex } from './constraints.ts';
import type { ExecuteContext } from './context.ts';
import { addForeignKey, restoreForeignKey, validateForeignKey } from './foreign-keys.ts';
import type { Outcome } from './outcome.ts';
import {
  alterPublication,
  createPublication,
  dropPublication,
  publishTable,
} from './publication.ts';
import { createSchema, createSequence, createTable, createType } from './schema.ts';
import { createSlot, recordSource, resetSlot } from './slot.ts';

/** The steps that executeProvision takes; the others are the ledger's and the stream's. */
export type ProvisionStep = Exclude<
  Step,
  {
    kind:
      | 'migrate-ledger'
      | 'register-mirror'
      | 'register-table'
      | 'copy-table'
      | 'replay-table'
      | 'verify-table'
      | 'cancel-copy'
      | 'drop-shadow'
      | 'adopt-table'
      | 'retire-table'
      | 'accept-spec'
      | 'release-slot'
      | 'drop-table'
      | 'forget-mirror';
  }
>;

/** Carries out one step. Throws MirrorError; the next plan holds what is still to be done. */
export async function executeProvision(ctx: ExecuteContext, step: ProvisionStep): Promise<Outcome> {
  switch (step.kind) {
    case 'create-schema':
      return createSchema(ctx, step);
    case 'create-type':
      return createType(ctx, step);
    case 'create-sequence':
      return createSequence(ctx, step);
    case 'create-table':
      return createTable(ctx, step);
    case 'create-publication':
      return createPublication(ctx, step);
    case 'alter-publication':
      return alterPublication(ctx, step);
    case 'publish-table':
      return publishTable(ctx, step);
    case 'drop-publication':
      return dropPublication(ctx, step);
    case 'record-source':
      return recordSource(ctx, step);
    case 'create-slot':
      return createSlot(ctx, step);
    case 'reset-slot':
      return resetSlot(ctx, step);
    case 'create-constraint':
      return createConstraint(ctx, step);
    case 'create-index':
      return createIndex(ctx, step);
    case 'add-foreign-key':
      return addForeignKey(ctx, step);
    case 'restore-foreign-key':
      return restoreForeignKey(ctx, step);
    case 'validate-foreign-key':
      return validateForeignKey(ctx, step);
  }
}
