"""Errors are the builtins a caller would catch, and say what they mean."""

from hf_select import errors


def test_every_error_is_ours_and_a_builtin():
    found = [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.HfSelectError) and error is not errors.HfSelectError
    ]
    assert len(found) >= 18
    for error in found:
        assert issubclass(error, ValueError | KeyError | RuntimeError | OSError | ImportError), error
        assert error.__doc__


def test_a_key_error_prints_its_message_not_its_repr():
    assert str(errors.ColumnError("No column 'x'.")) == "No column 'x'."


def test_an_unknown_name_comes_with_the_nearest():
    message = str(errors.unknown_name("method", "k_mean", ["k_means", "loss"]))
    assert message == "Unknown method 'k_mean'. Did you mean 'k_means'? Available: k_means, loss."
