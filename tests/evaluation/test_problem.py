from hf_select.evaluation.problem import Problem


def test_a_problem_becomes_a_program(increment):
    program = increment.program("source")
    assert program.completion == "source"
    assert program.entry_points == ("increment",)
    assert program.tests == increment.tests
    assert (program.setup, program.in_process, program.timeout, program.max_memory_bytes) == ((), False, None, None)


def test_limits_and_setup_reach_the_program():
    problem = Problem("0", "", "f", "", ("t",), setup=("s",), in_process=True, timeout=7.0, max_memory_bytes=9)
    program = problem.program("")
    assert (program.setup, program.in_process, program.timeout, program.max_memory_bytes) == (("s",), True, 7.0, 9)


def test_the_solution_is_the_prompt_and_its_continuation(increment, sandbox):
    assert increment.solution.endswith('"""Add one."""\n    return x + 1\n')
    assert sandbox.check_many([increment.program(increment.solution)], progress=False)[0].passed
