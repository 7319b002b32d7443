# Lets the package build against the ROS 2 wheels from PyPI as well as against a ROS distribution,
# where nothing here changes anything. Include it before find_package(ament_cmake).

# The wheels come without a setup.bash: find the folder they were installed into (a virtual
# environment, which need not be activated, or pip's build environment). A ROS distribution has
# ament_package too, but not as a wheel of this name.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND "${Python3_EXECUTABLE}" -c
    "import importlib.metadata as m, pathlib; print(pathlib.Path(m.distribution('ros-ament-package').locate_file('')).resolve().parents[2].as_posix())"
  OUTPUT_VARIABLE _ros_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT _ros_prefix)
  return()
endif()

# 1. Put it where CMake and ament look, after whatever was sourced.
list(APPEND CMAKE_PREFIX_PATH "${_ros_prefix}")
string(REPLACE ":" ";" _ament_paths "$ENV{AMENT_PREFIX_PATH}")
list(REMOVE_ITEM _ament_paths "${_ros_prefix}")
list(APPEND _ament_paths "${_ros_prefix}")
string(JOIN ":" _ament_paths ${_ament_paths})
set(ENV{AMENT_PREFIX_PATH} "${_ament_paths}")

# 2. The wheels' exported targets name include folders of the machine they were built on
# (/opt/python/...), and CMake refuses targets whose include folders are missing. At the end of this
# directory's configure step, keep only the folders that exist.
function(_drop_missing_include_dirs)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_dirs ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(_dirs)
      set(_keep "")
      foreach(_dir IN LISTS _dirs)
        if(_dir MATCHES "\\$<" OR EXISTS "${_dir}")
          list(APPEND _keep "${_dir}")
        else()
          message(VERBOSE "${_target}: dropped include folder ${_dir}")
        endif()
      endforeach()
      set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_keep}")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL _drop_missing_include_dirs)

# 3. Nobody sources a setup.bash that sets LD_LIBRARY_PATH: a library looks beside itself (lib/), a
# Python extension in lib/pythonX.Y/site-packages/<package> looks in lib/.
set(CMAKE_INSTALL_RPATH "$ORIGIN" "$ORIGIN/../../..")
