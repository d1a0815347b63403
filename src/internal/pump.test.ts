import { EventEmitter, once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'

import type { MaybePromise } from './maybe-promise.ts'
import { Pump, writeThrough } from './pump.ts'
import type { PumpEnd } from './pump.ts'

/** A stream of which the test says what comes when. */
function source(): Readable {
  const reader = new Readable({ read: () => undefined })
  reader.pause()
  return reader
}

/** A pump whose handlers note what they are called with. */
function noting(
  reader: Readable,
  data?: (chunk: string) => MaybePromise<void>,
  bufferSize?: number,
): { pump: Pump; log: string[]; isOver: Promise<unknown> } {
  const log: string[] = []
  const over = new EventEmitter()
  const pump = new Pump(
    reader,
    {
      data: (chunk) => {
        log.push(chunk.toString())
        return data?.(chunk.toString())
      },
      end: (end: PumpEnd) => {
        log.push(end.kind === 'error' ? `error ${end.error.message}` : end.kind)
        over.emit('over')
      },
      lost: (error) => {
        log.push(`lost: ${error.message}`)
      },
      failed: (error) => {
        log.push(`failed ${String(error)}`)
        over.emit('over')
      },
    },
    bufferSize,
  )
  return { pump, log, isOver: once(over, 'over') }
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve: () => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

function listenerCounts(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

describe('Pump', () => {
  it('hands on each chunk, then the end', async () => {
    const reader = source()
    const { pump, log, isOver } = noting(reader)
    pump.start()
    reader.push('one')
    reader.push('two')
    reader.push(null)
    await isOver
    expect(log.join('')).toBe('onetwoend')
    expect(log.at(-1)).toBe('end')
  })

  it('reads nothing before start()', async () => {
    const reader = source()
    const { log } = noting(reader)
    reader.push('one')
    await nextTurn()
    expect(log).toEqual([])
    expect(reader.readableLength).toBe(3)
  })

  it('reads no more while a promise of the handler is pending', async () => {
    const reader = source()
    const gate = deferred()
    const { pump, log, isOver } = noting(reader, (chunk) => (chunk === 'one' ? gate.promise : undefined))
    pump.start()
    reader.push('one')
    await nextTurn()
    reader.push('two')
    reader.push(null)
    await nextTurn()
    expect(log).toEqual(['one'])
    expect(reader.isPaused()).toBe(true)
    expect(reader.readableLength).toBe(3)
    gate.resolve()
    await isOver
    expect(log).toEqual(['one', 'two', 'end'])
  })

  it('lets the stream fill up to its high-water mark, and no further, while the handler is busy', async () => {
    let given = 0
    const reader = new Readable({
      highWaterMark: 1000,
      read() {
        given += 100
        this.push(Buffer.alloc(100, 'a'))
      },
    })
    reader.pause()
    const gate = deferred()
    const { pump } = noting(reader, () => gate.promise)
    pump.start()
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    expect(given).toBeGreaterThan(0)
    expect(given).toBeLessThanOrEqual(1200)
    pump.stop()
    gate.resolve()
    reader.destroy()
  })

  it('keeps the order of chunks when some handlers are slow and others are not', async () => {
    const reader = source()
    const written: string[] = []
    const { pump, isOver } = noting(reader, async (chunk) => {
      if (Number(chunk) % 2) await nextTurn()
      written.push(chunk)
    })
    pump.start()
    for (const chunk of ['1', '2', '3', '4', '5']) reader.push(chunk)
    reader.push(null)
    await isOver
    expect(written.join('')).toBe('12345')
  })

  it('hands on at most bufferSize octets at once, and all of them', async () => {
    const reader = source()
    const { pump, log, isOver } = noting(reader, undefined, 4)
    pump.start()
    reader.push('abcdefghij')
    await nextTurn()
    reader.push('klmn')
    reader.push(null)
    await isOver
    expect(log).toEqual(['abcd', 'efgh', 'ij', 'klmn', 'end'])
  })

  it('waits for each slice of a large chunk before it hands on the next', async () => {
    const reader = source()
    const gates = [deferred(), deferred()]
    const { pump, log, isOver } = noting(reader, () => gates[log.length - 1]?.promise, 4)
    pump.start()
    reader.push('abcdefghij')
    reader.push(null)
    await nextTurn()
    expect(log).toEqual(['abcd'])
    gates[0]?.resolve()
    await nextTurn()
    expect(log).toEqual(['abcd', 'efgh'])
    gates[1]?.resolve()
    await isOver
    expect(log).toEqual(['abcd', 'efgh', 'ij', 'end'])
  })

  it('does not read on before as many releases as holds have come', async () => {
    const reader = source()
    const { pump, log } = noting(reader)
    pump.hold()
    pump.hold()
    pump.start()
    reader.push('one')
    await nextTurn()
    pump.release()
    await nextTurn()
    expect(log).toEqual([])
    pump.release()
    await nextTurn()
    expect(log).toEqual(['one'])
    pump.stop()
  })

  it('stays held when a handler settles during a hold from outside', async () => {
    const reader = source()
    const gate = deferred()
    const { pump, log } = noting(reader, (chunk) => (chunk === 'one' ? gate.promise : undefined))
    pump.start()
    reader.push('one')
    await nextTurn()
    pump.hold()
    reader.push('two')
    gate.resolve()
    await nextTurn()
    expect(log).toEqual(['one'])
    pump.release()
    await nextTurn()
    expect(log).toEqual(['one', 'two'])
    pump.stop()
  })

  it('stays busy when a hold from outside is released while a handler is pending', async () => {
    const reader = source()
    const gate = deferred()
    const { pump, log } = noting(reader, (chunk) => (chunk === 'abcd' ? gate.promise : undefined), 4)
    pump.start()
    reader.push('abcdefgh')
    await nextTurn()
    pump.hold()
    pump.release()
    await nextTurn()
    expect(log).toEqual(['abcd'])
    gate.resolve()
    await nextTurn()
    expect(log).toEqual(['abcd', 'efgh'])
    pump.stop()
  })

  it('tells an end behind the chunks that are held, and does not hold the end itself', async () => {
    const reader = source()
    const { pump, log, isOver } = noting(reader, () => pump.hold(), 4)
    pump.start()
    reader.push('abcdefgh')
    reader.push(null)
    await nextTurn()
    expect(log).toEqual(['abcd'])
    pump.release()
    await isOver
    expect(log).toEqual(['abcd', 'efgh', 'end'])
  })

  it('hands on what came before an error at once, also while it is held, and then the error', async () => {
    const reader = source()
    const { pump, log, isOver } = noting(reader, () => pump.hold(), 4)
    pump.start()
    reader.push('abcdefghij')
    await nextTurn()
    expect(log).toEqual(['abcd'])
    reader.destroy(new Error('reset'))
    await isOver
    expect(log).toEqual(['abcd', 'efgh', 'ij', 'error reset'])
  })

  it('tells an error after the pending handler and the chunks behind it', async () => {
    const reader = source()
    const gate = deferred()
    const { pump, log, isOver } = noting(reader, (chunk) => (chunk === 'abcd' ? gate.promise : undefined), 4)
    pump.start()
    reader.push('abcdefgh')
    await nextTurn()
    reader.destroy(new Error('reset'))
    await nextTurn()
    expect(log).toEqual(['abcd'])
    gate.resolve()
    await isOver
    expect(log).toEqual(['abcd', 'efgh', 'error reset'])
  })

  it('tells a stream closed from this side as closed', async () => {
    const reader = source()
    const { pump, log, isOver } = noting(reader)
    pump.start()
    reader.destroy()
    await isOver
    expect(log).toEqual(['closed'])
  })

  it.each([
    ['has ended', (reader: Readable): unknown => reader.push(null) || reader.resume(), 'end'],
    [
      'has failed',
      (reader: Readable): unknown => reader.once('error', () => {}).destroy(new Error('reset')),
      'error reset',
    ],
    ['is closed', (reader: Readable): unknown => reader.destroy(), 'closed'],
  ])('started on a stream that %s, it tells so', async (_, finish, told) => {
    const reader = source()
    finish(reader)
    await nextTurn()
    const { pump, log } = noting(reader)
    pump.start()
    expect(log).toEqual([told])
  })

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('no')
      },
    ],
    ['rejects', (): Promise<void> => Promise.reject(new Error('no'))],
  ])('reads no more when the handler %s, and says why once', async (_, data) => {
    const reader = source()
    const { pump, log, isOver } = noting(reader, data, 4)
    pump.start()
    reader.push('abcdefgh')
    reader.push(null)
    await isOver
    await nextTurn()
    expect(log).toEqual(['abcd', 'failed Error: no'])
  })

  it('stopped, it leaves the stream paused, with no listener of its own and what is unread in it', async () => {
    const reader = source()
    const before = listenerCounts(reader)
    const { pump, log } = noting(reader)
    pump.start()
    reader.push('one')
    await nextTurn()
    pump.stop()
    reader.push('two')
    pump.release()
    await nextTurn()
    expect(log).toEqual(['one'])
    expect(listenerCounts(reader)).toEqual(before)
    expect(reader.isPaused()).toBe(true)
    expect(String(reader.read())).toBe('two')
  })

  it('stopped while a handler is pending, it calls nobody any more, and puts back what it has not handed on', async () => {
    const reader = source()
    const gate = deferred()
    const { pump, log } = noting(reader, () => gate.promise, 4)
    pump.start()
    reader.push('abcdefgh')
    await nextTurn()
    pump.stop()
    gate.reject(new Error('late'))
    await nextTurn()
    expect(log).toEqual(['abcd'])
    expect(String(reader.read())).toBe('efgh')
  })

  it('after an end tells of an error that comes later, and leaves no listener when it is stopped', async () => {
    const reader = source()
    const before = listenerCounts(reader)
    const { pump, log, isOver } = noting(reader)
    pump.start()
    reader.push(null)
    await isOver
    reader.emit('error', new Error('EPIPE'))
    expect(log.at(-1)).toBe('lost: EPIPE')
    pump.stop()
    expect(listenerCounts(reader)).toEqual(before)
  })

  it('leaves no listener after an end and a stop', async () => {
    const reader = source()
    const before = listenerCounts(reader)
    const { pump, isOver } = noting(reader)
    pump.start()
    reader.push(null)
    await isOver
    pump.stop()
    expect(listenerCounts(reader)).toEqual(before)
  })
})

describe('writeThrough()', () => {
  /** A writer that has enough after one octet, and takes the next when the test says so. */
  function sink(): { writer: Writable; written: string[]; accept: () => void } {
    const written: string[] = []
    let done: (() => void) | undefined
    const writer = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, callback) {
        written.push(chunk.toString())
        done = callback
      },
    })
    writer.on('error', () => {})
    return { writer, written, accept: () => done?.() }
  }

  it('holds the pump while the writer has enough, and leaves no listener behind', async () => {
    const reader = source()
    const { writer, written, accept } = sink()
    const before = listenerCounts(writer)
    const { pump } = noting(reader, (chunk) => writeThrough(writer, Buffer.from(chunk), pump))
    pump.start()
    reader.push('one')
    await nextTurn()
    reader.push('two')
    await nextTurn()
    expect(written).toEqual(['one'])
    expect(reader.readableLength).toBe(3)
    accept()
    await nextTurn()
    await nextTurn()
    expect(written).toEqual(['one', 'two'])
    accept()
    await nextTurn()
    expect(listenerCounts(writer)).toEqual(before)
    pump.stop()
  })

  it('lets the pump go on when the writer is closed instead of drained', async () => {
    const reader = source()
    const { writer } = sink()
    const { pump, log } = noting(reader, (chunk) => writeThrough(writer, Buffer.from(chunk), pump))
    pump.start()
    reader.push('one')
    await nextTurn()
    reader.push('two')
    writer.destroy()
    await nextTurn()
    await nextTurn()
    expect(log).toEqual(['one', 'two'])
    expect(writer.listenerCount('drain') + writer.listenerCount('close')).toBe(0)
    pump.stop()
  })

  it.each([
    ['has ended', (writer: Writable): unknown => writer.end()],
    ['is destroyed', (writer: Writable): unknown => writer.destroy()],
  ])('writes nothing, and holds nobody, where the writer %s', async (_, finish) => {
    const reader = source()
    const { writer, written } = sink()
    const { pump, log } = noting(reader, (chunk) => writeThrough(writer, Buffer.from(chunk), pump))
    pump.start()
    finish(writer)
    reader.push('one')
    await nextTurn()
    reader.push('two')
    await nextTurn()
    expect(log).toEqual(['one', 'two'])
    expect(written).toEqual([])
    pump.stop()
  })

  it('holds nobody for no octets, nor without a pump', () => {
    const { writer, written } = sink()
    writeThrough(writer, Buffer.alloc(0), undefined)
    writeThrough(undefined, Buffer.from('one'), undefined)
    writeThrough(writer, Buffer.from('two'), undefined)
    expect(written).toEqual(['two'])
    expect(writer.listenerCount('drain')).toBe(0)
  })
})
