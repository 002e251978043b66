from bascule.sandboxes.worker.argv import start_argv


def test_the_worker_is_isolated_from_environment_and_site():
    argv = start_argv("/py", "/pkg", 7)
    assert argv[:4] == ("/py", "-I", "-S", "-B")
    assert argv[-2:] == ("/pkg", "7")
    assert argv[argv.index("-c") + 1].endswith("main(int(sys.argv[2]))")
