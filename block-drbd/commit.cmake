# Sets version_with_commit. `git archive` writes the commit here (.gitattributes); in a clone git tells it, and a
# new commit configures anew; elsewhere nobody knows it.
set(commit "$Format:%H$")
if(NOT commit MATCHES "^[0-9a-f]+$")
  set(commit "")
  find_package(Git QUIET)
  if(GIT_FOUND AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse HEAD --git-path logs/HEAD
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE answer ERROR_QUIET
      OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX MATCH "^[0-9a-f]+" commit "${answer}")
    string(REGEX MATCH "[^\n]+$" log "${answer}")
    cmake_path(ABSOLUTE_PATH log BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    if(EXISTS ${log})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
    endif()
  endif()
endif()
set(version_with_commit ${PROJECT_VERSION})
if(commit)
  string(SUBSTRING ${commit} 0 7 commit)
  string(APPEND version_with_commit " (${commit})")
endif()
