"""Python of a user's own, named by its file: functions that judge, and engines outside of this
package."""
