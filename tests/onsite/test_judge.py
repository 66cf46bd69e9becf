from edge_agent import registry
from edge_agent.driver import Sample
from edge_agent.onsite.judge import Fit, judge, ranked
from edge_agent.onsite.plan import plan_scan

MODBUS = registry.load("modbus")


def fit(profile: str, **values: float | None) -> Fit | None:
    settings = MODBUS.settings(profile=profile, address=1)
    channels = MODBUS.open(settings).channels
    return judge("modbus", MODBUS, settings, channels, [Sample(*pair) for pair in values.items()])


def test_impossible_values_do_not_fit() -> None:
    assert fit("xy_md02", temperature=900.0, humidity=50.0) is None
    assert fit("eastron_sdm120", voltage=4e-41) is None, "what an integer looks like, read as a float"
    assert fit("eastron_sdm120", voltage=float("nan")) is None
    assert fit("xy_md02", temperature=None, humidity=None) is None


def test_zeros_and_unusual_values_are_in_doubt() -> None:
    zeros = fit("xy_md02", temperature=0, humidity=0)
    assert zeros is not None
    assert zeros.doubts == ("all values are 0",)
    low = fit("eastron_sdm120", voltage=12.0, frequency=50.0)
    assert low is not None
    assert low.doubts == ("voltage 12 V is unusual",)


def test_the_best_is_first_and_the_others_are_a_doubt() -> None:
    fits = [
        found
        for found in (
            fit("xy_md02_x100", temperature=3.05, humidity=4.9),
            fit("xy_md02", temperature=30.5, humidity=49.0),
        )
        if found
    ]
    assert [one.name for one in ranked(fits)] == ["xy_md02", "xy_md02_x100"]
    assert all(one.doubts[-1].startswith("others fit as well") for one in ranked(fits))
    assert ranked(fits[1:])[0].doubts == ()


def test_every_driver_has_its_place_in_a_scan() -> None:
    plan = plan_scan([], [], range(1, 33), 0.2)
    heard = {trial.name for listening in plan.listening for trial in listening.trials}
    asked = {name for asking in plan.asking for name, _ in (*asking.searches, *asking.registers)}
    assert {"ld2410"} <= heard
    assert {"modbus"} <= asked
    assert str(plan.asking[0].serial) == "9600 8N1", "what is met most often comes first"
    assert "2400 8N1" in {str(asking.serial) for asking in plan.asking}
    assert plan.seconds == sum(map(plan.asking_seconds, plan.asking)) + sum(
        plan.listening_seconds(index) + 0.1 for index in range(len(plan.listening))
    )
