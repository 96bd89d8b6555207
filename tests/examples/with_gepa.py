"""Instructions from feedback in words: which errors were left, introduced, suppressed (GEPA).

python tests/examples/with_gepa.py RECORDINGS, with the models that STUDENT, TEACHER and API_BASE name
"""
# ruff: noqa: T201

import os
import sys

import dspy  # type: ignore[import-untyped]

from lsp_tap.training import as_feedback, as_number, examples, make_program, split

student, teacher = (
    dspy.LM(os.environ[name], api_base=os.environ["API_BASE"], api_key="none", cache=False)
    for name in ("STUDENT", "TEACHER")
)
dspy.configure(lm=student)

turns = split(examples(sys.argv[1]))  # by repository or session, never by turn
evaluate = dspy.Evaluate(devset=turns.held_out, metric=as_number(), num_threads=4)
program = make_program()

optimiser = dspy.GEPA(metric=as_feedback(), max_metric_calls=64, reflection_lm=teacher, num_threads=4)
better = optimiser.compile(program, trainset=turns.train, valset=turns.validation)

print(f"held out: {evaluate(program).score:.1f} before, {evaluate(better).score:.1f} with GEPA")
