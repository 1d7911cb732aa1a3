"""The texts of an agent's conversation."""

import jsonschema

from bench import agent_texts


def test_texts_are_the_same_for_a_seed_and_others_for_another() -> None:
    """Prompts and results depend on the seed and the turn alone, and prompts differ from their first line on."""
    assert agent_texts.system("a") == agent_texts.system("a")
    assert agent_texts.system("a").splitlines()[0] != agent_texts.system("b").splitlines()[0]
    assert agent_texts.result("a", 1) == agent_texts.result("a", 1)
    assert len({agent_texts.result("a", 1), agent_texts.result("a", 2), agent_texts.result("b", 1)}) == 3


def test_tools_are_25_with_valid_schemas_that_bound_every_argument() -> None:
    """Names differ, and every argument is a bounded number or a word of a list."""
    functions = [tool["function"] for tool in agent_texts.tools()]
    assert len({function["name"] for function in functions}) == agent_texts.TOOLS == 25
    for function in functions:
        jsonschema.Draft202012Validator.check_schema(function["parameters"])
        for argument in function["parameters"]["properties"].values():
            assert "enum" in argument or {"minimum", "maximum"} <= set(argument)
