from stream.recovery import DEATHS, WINDOW_S, Deaths


def test_killed_now_and_then_it_goes_on():
    deaths = Deaths()
    for second in range(50):
        verdict = deaths.note(second, in_flight=[second, second + 1], answered=second, killed=True)
        assert verdict.goes_on
        assert verdict.skipped_ns is None


def test_deaths_without_progress_end_it():
    deaths = Deaths()
    verdicts = [deaths.note(second, [], answered=7, killed=False) for second in range(DEATHS)]
    assert [verdict.goes_on for verdict in verdicts] == [True] * (DEATHS - 1) + [False]


def test_deaths_long_ago_do_not_count():
    deaths = Deaths()
    for death in range(20):
        assert deaths.note(death * WINDOW_S, [], answered=0, killed=False).goes_on


def test_deaths_before_the_map_is_back_count_however_far_apart():
    deaths = Deaths()
    verdicts = [
        deaths.note(death * WINDOW_S, [], answered=7, killed=False, in_vain=True)
        for death in range(DEATHS)
    ]
    assert [verdict.goes_on for verdict in verdicts] == [True] * (DEATHS - 1) + [False]


def test_a_frame_that_kills_twice_is_skipped():
    deaths = Deaths()
    assert deaths.note(0, [10, 11, 12], answered=5, killed=False).skipped_ns is None
    assert deaths.note(1, [10], answered=5, killed=False).skipped_ns == 10


def test_a_frame_is_not_blamed_for_its_neighbour():
    deaths = Deaths()
    deaths.note(0, [10, 11], answered=5, killed=False)
    assert deaths.note(1, [11], answered=6, killed=False).skipped_ns == 11
    deaths = Deaths()
    deaths.note(0, [10], answered=5, killed=False)
    assert deaths.note(1, [11], answered=6, killed=False).skipped_ns is None


def test_two_kills_from_outside_do_not_blame_the_frame_but_three_do():
    deaths = Deaths()
    assert deaths.note(0, [10, 11], answered=5, killed=True).skipped_ns is None
    assert deaths.note(1, [10], answered=5, killed=True).skipped_ns is None
    verdict = deaths.note(2, [10], answered=5, killed=True)
    assert verdict.goes_on
    assert verdict.skipped_ns == 10
