/** What a scenario asks to be measured, and what comes of it. */
import type { Summary } from './rounds';

/** What one measurement gave: a number for every figure of its trial. */
export type Sample = Readonly<Record<string, number>>;

/** One thing that a sample tells. */
export interface Figure {
  readonly key: string;
  readonly label: string;
  /** Empty where the number stands for itself. */
  readonly unit: string;
  /** Compared with the reference, round by round. */
  readonly compared?: boolean;
}

/** Who is measured, and how. */
export interface Contestant {
  readonly name: string;
  /** Whom it is compared with; without it, the trial's reference. */
  readonly against?: string;
  measure(): Promise<Sample>;
}

/** Contestants that are measured in turn, round after round. */
export interface Trial {
  readonly scenario: string;
  readonly title: string;
  /** What tells this trial from the others of its scenario. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly figures: readonly Figure[];
  readonly reference: string;
  readonly contestants: readonly Contestant[];
}

/** What a contestant came to. */
export interface Standing {
  readonly name: string;
  readonly figures: Readonly<Record<string, Summary>>;
  /** Of each compared figure to the reference's of the same round. */
  readonly ratios: Readonly<Record<string, Summary>>;
  readonly against: string;
}

export interface Result extends Omit<Trial, 'contestants'> {
  readonly standings: readonly Standing[];
}
