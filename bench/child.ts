/** Calls from the bench to its child processes, so that each part has a process, and a CPU time, of its own. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** What a child can be asked: by name, what goes in and what comes out. All of it passes as JSON. */
export type Contract = Record<string, { input: unknown; output: unknown }>

/** What a child does when it is asked. */
export type Handlers<Calls extends Contract> = {
  readonly [Name in keyof Calls]: (
    input: Calls[Name]['input'],
  ) => Calls[Name]['output'] | Promise<Calls[Name]['output']>
}

interface Question {
  readonly id: number
  readonly name: string
  readonly input: unknown
}

interface Reply {
  readonly id: number
  readonly output?: unknown
  readonly error?: string
}

/** In a child: answers calls until the bench is done with it. */
export function answer<Calls extends Contract>(handlers: Handlers<Calls>): void {
  const reply = async ({ id, name, input }: Question): Promise<void> => {
    try {
      const handler = handlers[name]
      if (!handler) throw new Error(`Cannot do ${name}: it is not among ${Object.keys(handlers).join(', ')}`)
      send({ id, output: await handler(input) })
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  }
  // Only `Child` writes to this channel. Failures are told to the caller.
  process.on('message', (message) => void reply(message as Question))
  // Not at once: `--cpu-prof` writes when the process exits by itself.
  process.on('disconnect', () => process.exit(0))
}

function send(reply: Reply): void {
  process.send?.(reply)
}

/** In the bench: a child process that answers calls. */
export class Child<Calls extends Contract> {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { resolve: (output: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  /**
   * @param file - A built module that calls {@link answer}.
   * @param execArgv - Options of Node for it.
   */
  constructor(file: string, execArgv: readonly string[] = []) {
    this.#process = fork(file, { execArgv: [...execArgv] })
    this.#process.on('message', (message) => this.#onReply(message as Reply))
    this.#process.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} exited with ${code}`))
      this.#waiting.clear()
    })
  }

  call<Name extends keyof Calls & string>(name: Name, input: Calls[Name]['input']): Promise<Calls[Name]['output']> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve, reject })
      const question: Question = { id, name, input }
      this.#process.send(question)
    })
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.disconnect()
    await exited
  }

  #onReply({ id, output, error }: Reply): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(output)
    else waiting?.reject(new Error(error))
  }
}
