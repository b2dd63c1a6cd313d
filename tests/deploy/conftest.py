from tests.deploy.ros_bench import bench  # noqa: F401 - a fixture for all tests of this folder
