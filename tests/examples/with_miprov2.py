"""Instructions and demonstrations together (MIPROv2).

python tests/examples/with_miprov2.py RECORDINGS, with the models that STUDENT, TEACHER and API_BASE name
"""
# ruff: noqa: T201

import os
import sys

import dspy  # type: ignore[import-untyped]

from lsp_tap.training import as_number, examples, make_program, split

student, teacher = (
    dspy.LM(os.environ[name], api_base=os.environ["API_BASE"], api_key="none", cache=False)
    for name in ("STUDENT", "TEACHER")
)
dspy.configure(lm=student)

turns = split(examples(sys.argv[1]))  # by repository or session, never by turn
evaluate = dspy.Evaluate(devset=turns.held_out, metric=as_number(), num_threads=4)
program = make_program()

optimiser = dspy.MIPROv2(
    metric=as_number(),
    metric_threshold=0.7,
    prompt_model=teacher,
    teacher_settings={"lm": teacher},
    auto=None,
    num_candidates=3,
)
better = optimiser.compile(program, trainset=turns.train, valset=turns.validation, num_trials=4, minibatch=False)

print(f"held out: {evaluate(program).score:.1f} before, {evaluate(better).score:.1f} with MIPROv2")
