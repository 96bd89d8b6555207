"""Demonstrations that a teacher makes, and our metric lets through (BootstrapFewShot).

python tests/examples/with_bootstrap_few_shot.py RECORDINGS, with the models that STUDENT, TEACHER and API_BASE name
"""
# ruff: noqa: T201

import os
import sys

import dspy  # type: ignore[import-untyped]

from lsp_tap.training import as_number, as_verdict, examples, make_program, split

student, teacher = (
    dspy.LM(os.environ[name], api_base=os.environ["API_BASE"], api_key="none", cache=False)
    for name in ("STUDENT", "TEACHER")
)
dspy.configure(lm=student)

turns = split(examples(sys.argv[1]))  # by repository or session, never by turn
evaluate = dspy.Evaluate(devset=turns.held_out, metric=as_number(), num_threads=4)
program = make_program()

# A verdict, not a number: whatever is true is accepted.
optimiser = dspy.BootstrapFewShot(metric=as_verdict(0.7), teacher_settings={"lm": teacher}, max_labeled_demos=0)
better = optimiser.compile(program, trainset=turns.train)

print(f"held out: {evaluate(program).score:.1f} before, {evaluate(better).score:.1f} with the teacher's demonstrations")
