/** Notes faults that acted. */
import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'
import type { Fault, FaultRecord } from './fault.ts'

/** Notes that a fault acted on a connection, and on the exchange if there is one: once each, however often it acts. */
export function noteFault(connection: Connection, { name, text }: Fault, exchange: Exchange | undefined): void {
  const record: FaultRecord = { name, text, at: Date.now() }
  if (exchange) addOnce(exchange.faults, record)
  addOnce(connection.faults, record)
}

function addOnce(records: FaultRecord[], record: FaultRecord): void {
  if (!records.some(({ text }) => text === record.text)) records.push(record)
}
