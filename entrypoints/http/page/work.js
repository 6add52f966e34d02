/* One thing at a time: what is begun takes the place of what is being done. */

export class Work {
  #doing = null;
  #next = null;

  /** `failed` gets errors, `waiting` whether the service is being waited for. */
  constructor(failed, waiting) {
    Object.assign(this, { failed, waiting });
  }

  get isDoing() {
    return this.#doing !== null;
  }

  /** Leaves what is being done. */
  leave() {
    this.#doing?.abort();
    this.#doing = null;
  }

  /** Does `work` now; it is given its signal and whom to tell that it waits. */
  async doing(work) {
    this.leave();
    const mine = (this.#doing = new AbortController());
    const { signal } = mine;
    let isWaiting = false;
    const onWaiting = (waits) => {
      if (!signal.aborted && waits !== isWaiting) this.waiting(waits);
      isWaiting = waits;
    };
    try {
      await work({ signal, onWaiting });
    } catch (error) {
      if (!signal.aborted) this.failed(error);
    }
    if (this.#doing !== mine) return;
    this.#doing = null;
    // Not awaited: whoever waits for this work need not wait for the next.
    this.#then();
  }

  /** Does `work` once what is being done has ended; of several, the last. */
  async next(work) {
    this.#next = work;
    if (!this.isDoing) await this.#then();
  }

  async #then() {
    const next = this.#next;
    this.#next = null;
    if (next) await this.doing(next);
  }
}
